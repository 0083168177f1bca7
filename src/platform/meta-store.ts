import { isDeepStrictEqual } from 'node:util'
import { createDeferred, type Deferred } from './deferred.ts'
import { LevelDatabase, type LevelOperation } from './level-database.ts'

/**
 * Small durable facts (streams, chunk catalogue, leases, checkpoints, deliveries) under ordered
 * tuple keys. Values are plain JSON. Engines for many machines implement the same interface.
 */
export interface MetaStore extends AsyncDisposable {
  get<T>(key: MetaKey): T | null
  /** A snapshot of the entries in key order, or from the end when `reverse`. */
  entries<T>(range: MetaRange): AsyncIterable<MetaEntry<T>>
  /**
   * Applies the batch as a whole when every condition holds, else nothing.
   *
   * @returns whether it was applied; when true it is on disk.
   * @throws ServiceError `unavailable`/`MetaWriteFailed`: nothing was applied, a full disk for one
   */
  commit(batch: MetaBatch): Promise<boolean>
}

/** Strings without U+0000 and integers 0..2^53-1; numbers sort before strings. */
export type MetaKey = readonly (string | number)[]
export type MetaEntry<T> = { readonly key: MetaKey; readonly value: T }
export type MetaRange = {
  /** Only keys that begin with these elements (and are longer). */
  readonly prefix: MetaKey
  /** Bounds for the elements after the prefix: `from <= rest < before`. */
  readonly from?: MetaKey
  readonly before?: MetaKey
  readonly reverse?: boolean
  readonly limit?: number
}
export type MetaBatch = {
  /** `equals: null` demands that the key does not exist. */
  readonly conditions?: readonly { readonly key: MetaKey; readonly equals: unknown }[]
  readonly puts?: readonly { readonly key: MetaKey; readonly value: unknown }[]
  readonly deletes?: readonly MetaKey[]
}

export type LevelMetaStoreOptions = {
  /**
   * Disk space kept for what the store itself must write on a full disk, up to 4 MiB at a time.
   * Default 0.
   */
  readonly reserveBytes?: number
}

/**
 * @param directory created when missing; one process at a time may hold it
 * @throws ServiceError `conflict`/`DataDirectoryInUse`, `data-loss`/`MetaStoreCorrupted`,
 *   `unavailable`/`MetaStoreNotOpened`
 */
export async function openLevelMetaStore(
  directory: string,
  { reserveBytes = 0 }: LevelMetaStoreOptions = {},
): Promise<MetaStore> {
  return new LevelMetaStore(await LevelDatabase.open(directory, reserveBytes))
}

class LevelMetaStore implements MetaStore {
  readonly #db: LevelDatabase
  readonly #waiting: WaitingCommit[] = []
  #committing: Promise<void> | null = null

  constructor(db: LevelDatabase) {
    this.#db = db
  }

  get<T>(key: MetaKey): T | null {
    return (this.#db.get(encodeKey(key)) as T | undefined) ?? null
  }

  async *entries<T>(range: MetaRange): AsyncIterable<MetaEntry<T>> {
    const prefix = encodeKey(range.prefix)
    const options = {
      gte: prefix + encodeKey(range.from ?? []),
      lt: range.before === undefined ? prefix + AFTER_ALL : prefix + encodeKey(range.before),
      reverse: range.reverse ?? false,
      limit: range.limit ?? -1,
    }
    for await (const [key, value] of this.#db.entries(options)) {
      if (key.length > prefix.length) yield { key: decodeKey(key), value: value as T }
    }
  }

  commit(batch: MetaBatch): Promise<boolean> {
    const done = createDeferred<boolean>()
    this.#waiting.push({ batch, done })
    this.#committing ??= this.#commitWaiting()
    return done.promise
  }

  /**
   * Never rejects. Commits take effect one after the other, so that a condition and its writes are
   * one step; those that come while a sync is under way share the next one.
   */
  async #commitWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commitGroup(this.#waiting.splice(0, MAX_GROUP))
    this.#committing = null // in the same turn as the look at #waiting
  }

  async #commitGroup(group: readonly WaitingCommit[]): Promise<void> {
    const operations = new Map<string, LevelOperation>()
    const outcomes = group.map(({ batch, done }) => {
      try {
        const applies = this.#holds(batch.conditions ?? [], operations)
        const own = applies ? toOperations(batch) : []
        for (const operation of own) operations.set(operation.key, operation)
        return () => done.resolve(applies)
      } catch (error) {
        return () => done.reject(error) // a key that cannot be stored
      }
    })
    try {
      if (operations.size > 0) await this.#db.write([...operations.values()])
      for (const settle of outcomes) settle()
    } catch (error) {
      for (const { done } of group) done.reject(error)
    }
  }

  /** @param earlier what is written together with this, and before it */
  #holds(
    conditions: NonNullable<MetaBatch['conditions']>,
    earlier: ReadonlyMap<string, LevelOperation>,
  ): boolean {
    return conditions.every(({ key, equals }) => {
      const change = earlier.get(encodeKey(key))
      if (change === undefined) return isDeepStrictEqual(this.get(key), equals)
      return isDeepStrictEqual(change.type === 'put' ? asStored(change.value) : null, equals)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#committing
    await this.#db.close()
  }
}

/** Commits that share a sync at most. */
const MAX_GROUP = 256

type WaitingCommit = { readonly batch: MetaBatch; readonly done: Deferred<boolean> }

/** As it is read back: JSON has no `undefined`. */
function asStored(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function toOperations({ deletes = [], puts = [] }: MetaBatch): readonly LevelOperation[] {
  return [
    ...deletes.map((key): LevelOperation => ({ type: 'del', key: encodeKey(key) })),
    ...puts.map(({ key, value }): LevelOperation => ({ type: 'put', key: encodeKey(key), value })),
  ]
}

// Every element is a type letter, its text and U+0000, so that one element's end sorts before any
// longer text. Integers are padded to 16 digits, which keeps their order.
const END = '\u0000'
const AFTER_ALL = '\uffff'

function encodeKey(key: MetaKey): string {
  return key.map(encodeElement).join('')
}

function encodeElement(element: string | number): string {
  if (typeof element === 'string') {
    if (element.includes(END)) throw new RangeError('a key element holds U+0000')
    return `s${element}${END}`
  }
  if (!Number.isSafeInteger(element) || element < 0) {
    throw new RangeError(`a key element is not an integer from 0: ${element}`)
  }
  return `n${String(element).padStart(16, '0')}${END}`
}

function decodeKey(text: string): MetaKey {
  return text
    .split(END)
    .slice(0, -1)
    .map((element) => (element.startsWith('n') ? Number(element.slice(1)) : element.slice(1)))
}
