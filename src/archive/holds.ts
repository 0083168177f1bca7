import { randomUUID } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { Hold, HoldTerms } from './archive.ts'
import type { ClockRange } from './chunk-span.ts'

const PREFIX = ['archive', 'hold']

/** Each fragment that is looked at past its retention is compared with every hold of its stream. */
const MAX_HOLDS_PER_STREAM = 1000

/**
 * Ranges that neither retention nor lack of space takes, in the MetaStore and in memory:
 *
 * ```
 * archive hold <streamId> <id> -> Hold
 * ```
 */
export class Holds {
  readonly #meta: MetaStore
  readonly #byId = new Map<string, Hold>()

  constructor(meta: MetaStore) {
    this.#meta = meta
  }

  async load(): Promise<void> {
    for await (const { value } of this.#meta.entries<Hold>({ prefix: PREFIX })) {
      this.#byId.set(value.id, value)
    }
  }

  /** In order of their making. */
  list(): readonly Hold[] {
    return [...this.#byId.values()].toSorted((a, b) => a.createdAt - b.createdAt)
  }

  /** Those of a stream that have not run out. */
  of(streamId: StreamId, now: EpochMs): readonly Hold[] {
    const holds: Hold[] = []
    for (const hold of this.#byId.values()) {
      if (hold.streamId === streamId && !hasRunOut(hold, now)) holds.push(hold)
    }
    return holds
  }

  /** Holds from this call on; on disk when it resolves. */
  async add(
    streamId: StreamId,
    { by, from, to }: ClockRange,
    { name, reason, until }: HoldTerms,
    now: EpochMs,
  ): Promise<Hold> {
    checkRange({ from, to })
    const mine = [...this.#byId.values()].filter((hold) => hold.streamId === streamId)
    if (mine.length >= MAX_HOLDS_PER_STREAM) {
      throw new ServiceError(
        'limit-exceeded',
        'TooManyHolds',
        `A stream can have ${MAX_HOLDS_PER_STREAM} holds.`,
      )
    }
    const hold: Hold = {
      ...{ id: randomUUID(), streamId, by, from: from as EpochMs, to: to as EpochMs },
      ...{ name, reason, until: until ?? null, createdAt: now },
    }
    this.#byId.set(hold.id, hold)
    try {
      await this.#meta.commit({ puts: [{ key: keyOf(hold), value: hold }] })
    } catch (error) {
      this.#byId.delete(hold.id)
      throw error
    }
    return hold
  }

  /** @throws ServiceError `not-found`/`HoldNotFound` */
  async release(id: string): Promise<Hold> {
    const hold = this.#byId.get(id)
    if (hold === undefined) {
      throw new ServiceError('not-found', 'HoldNotFound', `There is no hold ${id}.`)
    }
    await this.#meta.commit({ deletes: [keyOf(hold)] })
    this.#byId.delete(id)
    return hold
  }

  /** Drops those whose time is up. */
  async releaseRunOut(now: EpochMs): Promise<readonly Hold[]> {
    const runOut = this.list().filter((hold) => hasRunOut(hold, now))
    for (const { id } of runOut) await this.release(id)
    return runOut
  }
}

export function checkRange({ from, to }: { readonly from: number; readonly to: number }): void {
  if (Number.isSafeInteger(from) && Number.isSafeInteger(to) && from < to) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidRange',
    'A range is in whole milliseconds and begins before it ends.',
  )
}

function hasRunOut({ until }: Hold, now: EpochMs): boolean {
  return until !== null && now >= until
}

function keyOf({ streamId, id }: Hold) {
  return [...PREFIX, streamId, id]
}
