import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { OpenStream } from './open-stream.ts'
import type { Reshardable, ReshardPlan } from './plan-reshard.ts'
import { openShards, type StoreParts } from './store-parts.ts'
import { reshardBatch, type ShardRow, type StreamRow } from './stream-rows.ts'

/**
 * Carries out a change of shards.
 *
 * 1. no append begins, and those that had begun have ended; 2. the rows change, with one commit; 3.
 * records go to the children and readers of the parents hear of their end; appends go on; 4. the
 * parents' logs are sealed. A crash before 2 has changed nothing; after 2 the rows say all, and the
 * seal is a second guard that nobody misses.
 *
 * @throws what `plan` throws; `conflict`/`ResourceInUseException` when the stream is not ACTIVE
 */
export async function reshard(
  parts: StoreParts,
  stream: OpenStream,
  plan: (from: Reshardable, now: EpochMs) => ReshardPlan,
  {
    refuseShards,
    change = {},
  }: {
    readonly refuseShards: (added: number) => void
    /** Written with it. */
    readonly change?: Partial<StreamRow>
  },
): Promise<void> {
  stream.refuseUnlessActive()
  const { row } = stream
  const rows = stream.shards.map((shard) => shard.row)
  const from = { name: row.name, nextShard: row.nextShard, shards: rows }
  const { closed, created } = plan(from, parts.clock.now())
  if (created.length === 0) return
  refuseShards(created.filter(isOpen).length - closed.length)
  const parents = closed.map(({ number }) => rows.findIndex((one) => one.number === number))
  const closing = parents.map((position) => stream.shards[position]!)

  stream.status = 'UPDATING'
  try {
    const children = openShards(parts, row, created, stream.cipher)
    await stream.withoutAppends(closing, async () => {
      const after = { ...row, ...change, nextShard: row.nextShard + created.length }
      if (!(await parts.meta.commit(reshardBatch(row, after, [...closed, ...created])))) {
        throw beingChanged(row.name)
      }
      stream.row = after
      closing.forEach((shard, i) => shard.close(closed[i]!))
      stream.add(children)
    })
  } finally {
    stream.status = 'ACTIVE'
  }
  await Promise.all(
    closing.map(async ({ log, info: { shardId } }) => {
      await log.opened()
      if (log.nextIndex === 0) return // it has no folder and needs none
      await log.seal().catch((error: unknown) => {
        parts.log.warn({ stream: row.name, shardId, err: error }, 'a closed shard is not sealed')
      })
    }),
  )
}

function isOpen({ closedAt }: ShardRow): boolean {
  return closedAt === null
}

export function beingChanged(name: string): ServiceError {
  return new ServiceError(
    'conflict',
    'ResourceInUseException',
    `Stream ${name} is being changed by another request.`,
    { context: { stream: name } },
  )
}
