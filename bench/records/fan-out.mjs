// fan-out.mjs FOLDER SUBSCRIBERS RATE SECONDS: puts RATE records of 100 bytes per second with the time in
// them, in puts of 50; prints {putPerSecond, p50Ms, p99Ms} from put to push over all subscribers.
import { setTimeout as delay } from 'node:timers/promises'
import {
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
  UpdateAccountSettingsCommand,
} from '@aws-sdk/client-kinesis'
import { createStream, putOf, quantile, startService } from './client.mjs'

const BATCH = 50
const [directory, ...numbers] = process.argv.slice(2)
const [subscribers, rate, seconds] = numbers.map(Number)
const service = await startService(directory)
const client = service.client()
await createStream(client, 1)
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const delays = []
// More than 20 consumers need it.
await client.send(
  new UpdateAccountSettingsCommand({ MinimumThroughputBillingCommitment: { Status: 'ENABLED' } }),
)
for (let i = 0; i < subscribers; i++) {
  const { Consumer } = await client.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: `c${i}` }),
  )
  void follow(Consumer.ConsumerARN)
}
await delay(500)
const startedAt = performance.now()
let puts = 0
while (performance.now() - startedAt < seconds * 1000) {
  const due = startedAt + (puts * BATCH * 1000) / rate
  if (due > performance.now()) await delay(due - performance.now())
  void client.send(putOf(BATCH, Buffer.from(String(performance.now()).padEnd(100))))
  puts += 1
}
await delay(500)
service.stop()
delays.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    putPerSecond: (puts * BATCH) / seconds,
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
  }),
)
process.exit(0)

async function follow(ConsumerARN) {
  const { EventStream } = await service.client().send(
    new SubscribeToShardCommand({
      ...{ ConsumerARN, ShardId: 'shardId-000000000000', StartingPosition: { Type: 'LATEST' } },
    }),
  )
  for await (const { SubscribeToShardEvent } of EventStream) {
    const now = performance.now()
    for (const { Data } of SubscribeToShardEvent.Records) {
      delays.push(now - Number(Buffer.from(Data).toString()))
    }
  }
}
