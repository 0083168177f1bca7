import type { SubscriptionEvent } from '../../datastream/index.ts'
import { outcomeOfError } from './call-metrics.ts'
import { consumerArn, findConsumerByArn } from './consumer-address.ts'
import { refuseDryRun } from './dry-run.ts'
import { EventStream, type EventMessage } from './event-stream.ts'
import { boolean, oneOf, required, structure, timestamp } from '../aws/input-schema.ts'
import { ITERATOR_TYPES, sequenceNumber, toStart } from './iterator-start.ts'
import { defineOperation, type Call } from './operation.ts'
import { toChildShards } from './record-output.ts'
import { shardId } from './stream-address.ts'

/** SubscribeToShard: a shard's records pushed as they come, for up to five minutes. */
export const subscribeToShard = defineOperation(
  'SubscribeToShard',
  structure({
    ConsumerARN: required(consumerArn),
    ShardId: required(shardId),
    StartingPosition: required(
      structure({
        Type: required(oneOf(ITERATOR_TYPES)),
        SequenceNumber: sequenceNumber,
        Timestamp: timestamp(),
      }),
    ),
    DryRun: boolean(),
  }),
  async (input, call) => {
    const { dataStreams, calls } = call.service
    const { stream, consumer } = findConsumerByArn(input.ConsumerARN, call.service)
    const start = toStart(input.StartingPosition)
    const to = { stream, consumer: consumer.name, shard: input.ShardId }
    if (input.DryRun === true) await dataStreams.seek(stream, input.ShardId, start)
    refuseDryRun(input.DryRun)
    const events = await calls.measure({ stream, operation: 'SubscribeToShard' }, () =>
      dataStreams.subscribe(
        stream,
        { consumer: consumer.name, shardId: input.ShardId, start },
        call.gone,
      ),
    )
    return new EventStream(toMessages(counted(events, to, call), to, call))
  },
)

type Subscribed = { readonly stream: string; readonly consumer: string; readonly shard: string }

/** Counts each event when the one before it was taken, and how the subscription ended. */
async function* counted(
  events: AsyncIterable<SubscriptionEvent>,
  to: Subscribed,
  { gone, service: { calls } }: Call,
): AsyncGenerator<SubscriptionEvent> {
  const call = { stream: to.stream, operation: 'SubscribeToShardEvent' } as const
  try {
    for await (const event of events) {
      calls.subscriberBehind(to, event.millisBehindLatest)
      calls.read(call, event.records)
      calls.ended(call, 'success')
      yield event
    }
  } catch (error) {
    if (!gone.aborted && outcomeOfError(error) === 'failed') calls.ended(call, 'failed')
    throw error
  } finally {
    calls.subscriberGone(to)
  }
}

async function* toMessages(
  events: AsyncIterable<SubscriptionEvent>,
  { stream, shard: shardId }: Subscribed,
  { codec, service }: Call,
): AsyncGenerator<EventMessage> {
  for await (const { records, millisBehindLatest, continuation } of events) {
    const others = {
      MillisBehindLatest: millisBehindLatest,
      // Clients tell the end of a shard by the children in the place of a number.
      ...(continuation === null
        ? { ChildShards: toChildShards({ stream, shardId }, service.dataStreams) }
        : { ContinuationSequenceNumber: continuation }),
    }
    const payload = service.sharedRecords.render(records, others, codec)
    yield { type: 'SubscribeToShardEvent', payload }
  }
}
