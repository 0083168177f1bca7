import { setTimeout as delay } from 'node:timers/promises'
import type { KinesisCall } from './kinesis-client.ts'

export type TailedRecord = {
  readonly SequenceNumber: string
  readonly PartitionKey?: string
  /** base64 */
  readonly Data: string
  /** Epoch seconds. */
  readonly ApproximateArrivalTimestamp: number
}

type Shard = { readonly ShardId: string }
type Read = {
  readonly Records: readonly TailedRecord[]
  readonly NextShardIterator?: string
  readonly ChildShards?: readonly Shard[]
}

const POLL_MS = 1_000

/**
 * Follows a stream: every shard from where it is told to start, and the children of shards that end
 * from their beginnings.
 */
export async function tailRecords(
  call: KinesisCall,
  options: {
    readonly stream: string
    readonly start: 'oldest' | 'newest'
    /** `end`: as far as there are records now. */
    readonly until: 'end' | 'stopped'
    readonly show: (record: TailedRecord, shardId: string) => void
    readonly signal: AbortSignal
  },
): Promise<void> {
  const { stream, start, until, show, signal } = options
  const begun = new Set<string>()
  const follow = async (shardId: string, type: string): Promise<void> => {
    if (begun.has(shardId)) return // a merged shard is named by both of its parents
    begun.add(shardId)
    let { ShardIterator: iterator } = await call<{ ShardIterator?: string }>('GetShardIterator', {
      ...{ StreamName: stream, ShardId: shardId, ShardIteratorType: type },
    })
    while (iterator !== undefined && !signal.aborted) {
      const read: Read & { MillisBehindLatest: number } = await call('GetRecords', {
        ShardIterator: iterator,
      })
      for (const record of read.Records) show(record, shardId)
      iterator = read.NextShardIterator
      const children = read.ChildShards ?? []
      await Promise.all(children.map(({ ShardId }) => follow(ShardId, 'TRIM_HORIZON')))
      if (read.MillisBehindLatest > 0) continue
      if (until === 'end') return
      if (iterator !== undefined) {
        await delay(POLL_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }
  // Shards that began with the stream, or whose parents are gone; children come with their parents.
  const { Shards } = await call<{ Shards: readonly Shard[] }>('ListShards', {
    ...{ StreamName: stream },
    ShardFilter: { Type: start === 'oldest' ? 'AT_TRIM_HORIZON' : 'AT_LATEST' },
  })
  const type = start === 'oldest' ? 'TRIM_HORIZON' : 'LATEST'
  await Promise.all(Shards.map(({ ShardId }) => follow(ShardId, type)))
}
