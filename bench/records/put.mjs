// put.mjs FOLDER SERVER CLIENT SHARDS BATCH SECONDS: puts records of 1 KB, `lean` or through the `sdk`;
// prints {perSecond, perCpuSecond, clientUs, p99Ms}.
import { createStream, leanPutter } from './lean-client.mjs'
import { costing, during, putOf, quantile } from './measure.mjs'
import { sdkPutter } from './sdk-client.mjs'
import { startRecords } from './servers.mjs'

const [directory, name, client, ...numbers] = process.argv.slice(2)
const [shards, batch, seconds] = numbers.map(Number)
const server = await startRecords(name, directory)
await createStream(server.port, shards)
const requests = Array.from({ length: 16 }, () => putOf(batch))
const put = (client === 'sdk' ? sdkPutter : leanPutter)(server.port, requests)
const loops = batch === 1 ? 64 : 8
let sent = 0
const next = (loop) => put(loop, sent++)
await during(0.5, loops, next) // code is compiled, files are made
const result = await costing(server, async () => {
  const { calls, wallSeconds, took } = await during(seconds, loops, next)
  return { records: calls * batch, wallSeconds, p99Ms: quantile(took, 0.99) }
})
console.log(JSON.stringify(result))
await server.stop()
process.exit(0)
