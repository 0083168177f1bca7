import type { EpochMs } from '../../domain/time.ts'
import { integer, oneOf, required, structure, timestamp } from '../aws/input-schema.ts'
import { defineOperation, type KinesisService } from './operation.ts'
import { nextToken, openPage, sealPage } from './paging-token.ts'
import { planShardFilter, SHARD_FILTER_TYPES, type ShardFilter } from './shard-filter.ts'
import {
  invalid,
  refuseOtherGeneration,
  shardId,
  streamMembers,
  toStreamName,
  type StreamAddress,
} from './stream-address.ts'
import { toShardMember } from './stream-description.ts'

const NAME = 'ListShards'
const MAX_SHARDS = 1000

/** Where a listing stands. A token carries all of it: the next request names no stream. */
type Page = {
  readonly stream: string
  readonly streamCreatedAt: EpochMs | undefined
  readonly after: string
  readonly filter: ShardFilter | null
}

type FirstPage = StreamAddress & {
  readonly StreamCreationTimestamp?: EpochMs | undefined
  readonly ExclusiveStartShardId?: string | undefined
  readonly ShardFilter?: ShardFilter | undefined
}

/** ListShards: all shards inside retention, or those that a filter names, page by page. */
export const listShards = defineOperation(
  NAME,
  structure({
    ...streamMembers,
    NextToken: nextToken,
    ExclusiveStartShardId: shardId,
    MaxResults: integer({ min: 1, max: 10_000 }),
    StreamCreationTimestamp: timestamp(),
    ShardFilter: structure({
      Type: required(oneOf(SHARD_FILTER_TYPES)),
      ShardId: shardId,
      Timestamp: timestamp(),
    }),
  }),
  async (input, { service }) => {
    const { dataStreams, sealer, clock } = service
    const page =
      input.NextToken === undefined
        ? firstPage(input, service)
        : (refuseMixed(input), openPage(sealer, NAME, input.NextToken, clock.now()) as Page)
    const info = dataStreams.describe(page.stream)
    refuseOtherGeneration(page.stream, page.streamCreatedAt, info.createdAt)
    const passes = planShardFilter(page.filter, info)
    const limit = Math.min(input.MaxResults ?? MAX_SHARDS, MAX_SHARDS)
    const left = info.shards.filter((shard) => shard.shardId > page.after && passes(shard))
    const shards = left.slice(0, limit)
    const next: Page = {
      ...page,
      streamCreatedAt: info.createdAt,
      after: shards.at(-1)?.shardId ?? page.after,
    }
    return {
      Shards: shards.map(toShardMember),
      ...(left.length > limit && { NextToken: sealPage(sealer, NAME, next, clock.now()) }),
    }
  },
)

function firstPage(input: FirstPage, service: KinesisService): Page {
  return {
    stream: toStreamName(input, service),
    streamCreatedAt: input.StreamCreationTimestamp,
    after: input.ExclusiveStartShardId ?? '',
    filter: input.ShardFilter ?? null,
  }
}

function refuseMixed(input: FirstPage): void {
  const { StreamName, StreamARN, StreamCreationTimestamp, ExclusiveStartShardId } = input
  if (StreamName !== undefined || StreamARN !== undefined) {
    throw invalid('NextToken and StreamName or StreamARN cannot be provided together.')
  }
  if (StreamCreationTimestamp !== undefined || ExclusiveStartShardId !== undefined) {
    throw invalid(
      'NextToken cannot be provided with StreamCreationTimestamp or ExclusiveStartShardId.',
    )
  }
}
