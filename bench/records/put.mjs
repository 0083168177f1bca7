// put.mjs FOLDER SHARDS BATCH SECONDS: prints {perSecond, p99Ms, serviceCpuUs}.
import { createStream, during, putOf, quantile, startService } from './client.mjs'

const [directory, ...numbers] = process.argv.slice(2)
const [shards, batch, seconds] = numbers.map(Number)
const service = await startService(directory)
const client = service.client()
await createStream(client, shards)
const loops = batch === 1 ? 64 : 8
await during(0.5, loops, () => client.send(putOf(batch))) // code is compiled, files are made
await service.cpuUs()
const { calls, wallSeconds, took } = await during(seconds, loops, () => client.send(putOf(batch)))
const cpuUs = await service.cpuUs()
service.stop()
console.log(
  JSON.stringify({
    perSecond: (calls * batch) / wallSeconds,
    p99Ms: quantile(took, 0.99),
    serviceCpuUs: cpuUs / (calls * batch),
  }),
)
process.exit(0)
