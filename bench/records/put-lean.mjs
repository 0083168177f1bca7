// put-lean.mjs FOLDER SHARDS BATCH SECONDS: as put.mjs, with the lean client.
import { createStream, during, putOf, quantile, startService } from './client.mjs'
import { leanConnection, signedRequest } from './lean-client.mjs'

const [directory, ...numbers] = process.argv.slice(2)
const [shards, batch, seconds] = numbers.map(Number)
const service = await startService(directory)
await createStream(service.client(), shards)
const operation = batch === 1 ? 'PutRecord' : 'PutRecords'
const requests = Array.from({ length: 16 }, () =>
  signedRequest(service.port, operation, withBase64(putOf(batch).input)),
)
const loops = batch === 1 ? 64 : 8
const connections = Array.from({ length: 8 }, () => leanConnection(service.port))
let sent = 0
const put = (loop) => connections[loop % 8].send(requests[sent++ % 16])
await during(0.5, loops, put) // code is compiled, files are made
await service.cpuUs()
const { calls, wallSeconds, took } = await during(seconds, loops, put)
const cpuUs = await service.cpuUs()
const ownCpuUs = process.cpuUsage()
service.stop()
console.log(
  JSON.stringify({
    perSecond: (calls * batch) / wallSeconds,
    p99Ms: quantile(took, 0.99),
    serviceCpuUs: cpuUs / (calls * batch),
    clientCpuUs: (ownCpuUs.user + ownCpuUs.system) / (calls * batch),
  }),
)
process.exit(0)

function withBase64(input) {
  return JSON.parse(
    JSON.stringify(input, (_, value) =>
      value?.type === 'Buffer' ? Buffer.from(value.data).toString('base64') : value,
    ),
  )
}
