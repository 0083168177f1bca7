// get-lean.mjs FOLDER SHARDS SECONDS: reads shards from their beginnings, over and over, 2,000 records
// of 1 KB at a time, with the lean client; prints {perSecond, serviceCpuUs, clientCpuUs}.
import { createStream, during, putOf, startService } from './client.mjs'
import { lastString, leanConnection, signedRequest } from './lean-client.mjs'

const LIMIT = 2000
const [directory, ...numbers] = process.argv.slice(2)
const [shards, seconds] = numbers.map(Number)
const service = await startService(directory)
const client = service.client()
await createStream(client, shards)
for (let i = 0; i < 80; i++) await client.send(putOf(500))
const connections = Array.from({ length: shards }, () => leanConnection(service.port))
const call = (loop, operation, input) =>
  connections[loop].send(signedRequest(service.port, operation, input))
const iterators = new Array(shards).fill(undefined)
let records = 0
const read = async (loop) => {
  iterators[loop] ??= lastString(
    await call(loop, 'GetShardIterator', {
      ...{ StreamName: 's', ShardId: `shardId-${String(loop).padStart(12, '0')}` },
      ShardIteratorType: 'TRIM_HORIZON',
    }),
    'ShardIterator',
  )
  const body = await call(loop, 'GetRecords', { ShardIterator: iterators[loop], Limit: LIMIT })
  const caughtUp = body.includes('"MillisBehindLatest":0,', body.length - 1000)
  records += caughtUp ? countRecords(body) : LIMIT
  iterators[loop] = caughtUp ? undefined : lastString(body, 'NextShardIterator')
}
await during(0.5, shards, read)
await service.cpuUs()
records = 0
const before = process.cpuUsage()
const { wallSeconds } = await during(seconds, shards, read)
const cpuUs = await service.cpuUs()
const own = process.cpuUsage(before)
service.stop()
console.log(
  JSON.stringify({
    perSecond: records / wallSeconds,
    serviceCpuUs: cpuUs / records,
    clientCpuUs: (own.user + own.system) / records,
  }),
)
process.exit(0)

function countRecords(body) {
  let count = 0
  for (let at = 0; (at = body.indexOf('"SequenceNumber"', at)) >= 0; at++) count += 1
  return count
}
