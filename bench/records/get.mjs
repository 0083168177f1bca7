// get.mjs FOLDER SERVER SHARDS SECONDS: reads shards from their beginnings, over and over, up to 2,000
// records of 1 KB at a time, with the lean client; prints {perSecond, perCpuSecond, clientUs}.
import {
  createStream,
  lastString,
  leanConnection,
  leanPutter,
  signedRequest,
} from './lean-client.mjs'
import { costing, during, putOf } from './measure.mjs'
import { startRecords } from './servers.mjs'

const LIMIT = 2000
const [directory, name, ...numbers] = process.argv.slice(2)
const [shards, seconds] = numbers.map(Number)
const server = await startRecords(name, directory)
await createStream(server.port, shards)
const put = leanPutter(server.port, [putOf(500)])
const filledBy = performance.now() + 10_000 // a slow server is read with less in it
for (let i = 0; i < 80 && performance.now() < filledBy; i++) await put(0, i)
const connections = Array.from({ length: shards }, () => leanConnection(server.port))
const call = (loop, operation, input) =>
  connections[loop].send(signedRequest(server.port, operation, input))
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
const result = await costing(server, async () => {
  records = 0
  const { wallSeconds } = await during(seconds, shards, read)
  return { records, wallSeconds }
})
console.log(JSON.stringify(result))
await server.stop()
process.exit(0)

function countRecords(body) {
  let count = 0
  for (let at = 0; (at = body.indexOf('"SequenceNumber"', at)) >= 0; at++) count += 1
  return count
}
