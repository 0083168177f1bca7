// get.mjs FOLDER SHARDS SECONDS: reads shards from their beginnings, over and over.
import { GetRecordsCommand, GetShardIteratorCommand } from '@aws-sdk/client-kinesis'
import { createStream, during, putOf, startService } from './client.mjs'

const [directory, ...numbers] = process.argv.slice(2)
const [shards, seconds] = numbers.map(Number)
const service = await startService(directory)
const client = service.client()
await createStream(client, shards)
for (let i = 0; i < 80; i++) await client.send(putOf(500))
const iterators = new Array(shards).fill(undefined)
let records = 0
const { wallSeconds } = await during(seconds, shards, async (loop) => {
  iterators[loop] ??= (
    await client.send(
      new GetShardIteratorCommand({
        ...{ StreamName: 's', ShardId: `shardId-00000000000${loop}` },
        ShardIteratorType: 'TRIM_HORIZON',
      }),
    )
  ).ShardIterator
  const read = await client.send(
    new GetRecordsCommand({ ShardIterator: iterators[loop], Limit: 2000 }),
  )
  records += read.Records.length
  iterators[loop] = read.MillisBehindLatest === 0 ? undefined : read.NextShardIterator
})
service.stop()
console.log(JSON.stringify({ perSecond: records / wallSeconds }))
process.exit(0)
