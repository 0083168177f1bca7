import { ServiceError } from '../domain/errors.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'
import {
  hashAfter,
  hashBefore,
  parseHashKey,
  splitHashSpace,
  toDecimal,
  type HashRange,
} from './hash-range.ts'
import { toSeconds, toShardId } from './shard.ts'
import type { ShardRow } from './stream-rows.ts'

/** What a change of shards does to the rows; written with one commit, so there is no half of it. */
export type ReshardPlan = {
  /** Shards that were open, with the time of their end. */
  readonly closed: readonly ShardRow[]
  /** New shards by number; those of a step in between are closed already and hold nothing. */
  readonly created: readonly ShardRow[]
}

/** The shards that a change may touch. */
export type Reshardable = {
  readonly name: string
  /** Every shard that is listed. */
  readonly shards: readonly ShardRow[]
  /** Number of the next shard: numbers are never given out twice. */
  readonly nextShard: number
}

/**
 * SplitShard: the key and what is above go to the second child.
 *
 * @throws `not-found`/`ResourceNotFoundException`, `invalid-argument`/`InvalidArgumentException`
 */
export function planSplit(
  stream: Reshardable,
  shardId: string,
  newStartingHashKey: string,
  now: EpochMs,
): ReshardPlan {
  const shard = findOpen(stream, shardId)
  const { from, to } = shard.range
  const at = parseHashKey(newStartingHashKey, 'NewStartingHashKey')
  // Both children are wider than one key, as the service demands.
  if (at <= from || hashBefore(at) === from || at >= to) {
    throw invalid(
      `NewStartingHashKey ${newStartingHashKey} used in SplitShard() on shard ${shardId} in stream ` +
        `${stream.name} is not both greater than one plus the shard's StartingHashKey ` +
        `${toDecimal(from)} and less than the shard's EndingHashKey ${toDecimal(to)}.`,
      stream,
    )
  }
  const lineage = new Lineage(stream, now)
  lineage.split(shard, at)
  return lineage.plan()
}

/**
 * MergeShards: the child takes both ranges, which must join without a gap.
 *
 * @throws `not-found`/`ResourceNotFoundException`, `invalid-argument`/`InvalidArgumentException`
 */
export function planMerge(
  stream: Reshardable,
  shardId: string,
  adjacentShardId: string,
  now: EpochMs,
): ReshardPlan {
  const shard = findOpen(stream, shardId)
  const adjacent = findOpen(stream, adjacentShardId)
  if (!joins(shard.range, adjacent.range) && !joins(adjacent.range, shard.range)) {
    throw invalid(
      `Shards ${shardId} and ${adjacentShardId} in stream ${stream.name} are not an adjacent pair ` +
        'of shards eligible for merging',
      stream,
    )
  }
  const lineage = new Lineage(stream, now)
  lineage.merge(shard, adjacent)
  return lineage.plan()
}

/**
 * UpdateShardCount: ends with equal ranges. A shard has at most two parents, so the way there are
 * splits of one into two at the new bounds, then merges of two into one; a shard that has its new
 * range already stays as it is.
 */
export function planUniformScaling(
  stream: Reshardable,
  targetCount: number,
  now: EpochMs,
): ReshardPlan {
  const lineage = new Lineage(stream, now)
  const left = lineage.openFromEnd()
  for (const { to } of splitHashSpace(targetCount)) {
    let whole: ShardRow | null = null
    do {
      let piece = left.pop()!
      if (piece.range.to > to) {
        const [within, beyond] = lineage.split(piece, hashAfter(to))
        left.push(beyond)
        piece = within
      }
      whole = whole === null ? piece : lineage.merge(whole, piece)
    } while (whole.range.to < to)
  }
  return lineage.plan()
}

/** Rows as splits and merges change them, one after the other. */
class Lineage {
  readonly #now: EpochMs
  readonly #firstNew: number
  #next: number
  readonly #rows: Map<number, ShardRow>
  readonly #touched = new Set<number>()

  constructor(stream: Reshardable, now: EpochMs) {
    this.#now = now
    this.#firstNew = stream.nextShard
    this.#next = stream.nextShard
    this.#rows = new Map(
      stream.shards.filter(({ closedAt }) => closedAt === null).map((row) => [row.number, row]),
    )
  }

  /** The first child ends right before `at`, where the second starts. */
  split(parent: ShardRow, at: string): [low: ShardRow, high: ShardRow] {
    const { from, to } = parent.range
    const createdAt = this.#close([parent])
    return [
      this.#open({ from, to: hashBefore(at) }, [parent], createdAt),
      this.#open({ from: at, to }, [parent], createdAt),
    ]
  }

  merge(shard: ShardRow, adjacent: ShardRow): ShardRow {
    const [low, high] =
      shard.range.from < adjacent.range.from ? [shard, adjacent] : [adjacent, shard]
    const createdAt = this.#close([shard, adjacent])
    return this.#open({ from: low.range.from, to: high.range.to }, [shard, adjacent], createdAt)
  }

  /** Open shards, the one with the highest range first. */
  openFromEnd(): ShardRow[] {
    return [...this.#rows.values()].sort((a, b) => (a.range.from < b.range.from ? 1 : -1))
  }

  plan(): ReshardPlan {
    const rows = [...this.#rows.values()].sort((a, b) => a.number - b.number)
    return {
      closed: rows.filter(({ number }) => this.#touched.has(number) && number < this.#firstNew),
      created: rows.filter(({ number }) => number >= this.#firstNew),
    }
  }

  /**
   * The end of the parents is the start of the children, in a later second than the parents' own:
   * a sequence number begins with it, so every number of a child is greater than all of its parents.
   */
  #close(parents: readonly ShardRow[]): EpochMs {
    const later = parents.map(({ createdAt }) => (toSeconds(createdAt) + 1) * 1000)
    const at = epochMs(Math.max(this.#now, ...later))
    for (const parent of parents) {
      this.#rows.set(parent.number, { ...parent, closedAt: at })
      this.#touched.add(parent.number)
    }
    return at
  }

  #open(range: HashRange, parents: readonly ShardRow[], createdAt: EpochMs): ShardRow {
    const number = this.#next++
    const row: ShardRow = {
      number,
      range,
      createdAt,
      parents: parents.map((parent) => parent.number),
      closedAt: null,
    }
    this.#rows.set(number, row)
    return row
  }
}

function joins(low: HashRange, high: HashRange): boolean {
  return low.to < high.from && hashBefore(high.from) === low.to
}

function findOpen(stream: Reshardable, shardId: string): ShardRow {
  const shard = stream.shards.find(({ number }) => toShardId(number) === shardId)
  if (shard === undefined) throw shardNotFound(stream.name, shardId)
  if (shard.closedAt === null) return shard
  throw invalid(
    `Shard ${shardId} in stream ${stream.name} has already been merged or split, and thus is not ` +
      'eligible for merging or splitting.',
    stream,
  )
}

export function shardNotFound(stream: string, shardId: string): ServiceError {
  return new ServiceError(
    'not-found',
    'ResourceNotFoundException',
    `Could not find shard ${shardId} in stream ${stream}.`,
    { context: { stream, shardId } },
  )
}

function invalid(message: string, { name }: Reshardable): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidArgumentException', message, {
    context: { stream: name },
  })
}
