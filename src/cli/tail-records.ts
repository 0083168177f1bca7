import { setTimeout as delay } from 'node:timers/promises'
import { ServiceError } from '../domain/errors.ts'
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
type ChildShard = Shard & { readonly ParentShards: readonly string[] }
type Read = {
  readonly Records: readonly TailedRecord[]
  readonly NextShardIterator?: string
  readonly ChildShards?: readonly ChildShard[]
}

const POLL_MS = 1_000

/**
 * Follows a stream: every shard from where it is told to start, and the children of shards that end
 * from their beginnings, each when all of its parents are at their ends.
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
  const patient = waitingForRoom(call, signal)
  const all = await listShards(call, { StreamName: stream })
  // Shards that began with the stream, or whose parents are gone; children come with their parents.
  const ShardFilter = { Type: start === 'oldest' ? 'AT_TRIM_HORIZON' : 'AT_LATEST' }
  const first = await listShards(call, { StreamName: stream, ShardFilter })
  const newestAtStart = all.at(-1) ?? ''
  const dueAtStart = new Set(start === 'oldest' ? all : first)
  const ended = new Set<string>()
  const begun = new Set<string>()
  /** Whose records come before a child's: not those that are trimmed away, or older than the start. */
  const isDue = (parent: string) =>
    !ended.has(parent) && (dueAtStart.has(parent) || parent > newestAtStart)

  const follow = async (shardId: string, type: string): Promise<void> => {
    begun.add(shardId)
    let { ShardIterator: iterator } = await patient<{ ShardIterator?: string }>(
      'GetShardIterator',
      { StreamName: stream, ShardId: shardId, ShardIteratorType: type },
    )
    while (iterator !== undefined && !signal.aborted) {
      const read: Read & { MillisBehindLatest: number } = await patient('GetRecords', {
        ShardIterator: iterator,
      })
      for (const record of read.Records) show(record, shardId)
      iterator = read.NextShardIterator
      if (iterator === undefined) {
        ended.add(shardId)
        const next = (read.ChildShards ?? []).filter(
          (child) => !begun.has(child.ShardId) && !child.ParentShards.some(isDue),
        )
        await Promise.all(next.map(({ ShardId }) => follow(ShardId, 'TRIM_HORIZON')))
        return
      }
      if (read.MillisBehindLatest > 0) continue
      if (until === 'end') return
      await delay(POLL_MS, undefined, { signal }).catch(() => undefined)
    }
  }
  const type = start === 'oldest' ? 'TRIM_HORIZON' : 'LATEST'
  await Promise.all(first.map((shardId) => follow(shardId, type)))
}

/** In the order in which they came to be. */
async function listShards(call: KinesisCall, of: object): Promise<readonly string[]> {
  const shardIds: string[] = []
  let input: object | null = of
  while (input !== null) {
    const answer: { readonly Shards: readonly Shard[]; readonly NextToken?: string } = await call(
      'ListShards',
      input,
    )
    shardIds.push(...answer.Shards.map(({ ShardId }) => ShardId))
    input = answer.NextToken === undefined ? null : { NextToken: answer.NextToken }
  }
  return shardIds
}

/** Calls that are over a shard's limits wait and are made again, for as long as it takes. */
function waitingForRoom(call: KinesisCall, signal: AbortSignal): KinesisCall {
  return async <T>(operation: string, input: object) => {
    for (;;) {
      try {
        return await call<T>(operation, input)
      } catch (error) {
        if (!(error instanceof ServiceError) || signal.aborted) throw error
        if (error.code !== 'ProvisionedThroughputExceededException') throw error
        await delay(POLL_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}
