import { isDeepStrictEqual } from 'node:util'
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
  /** Commits run one after the other, so that a condition and its writes are one step. */
  #tail: Promise<unknown> = Promise.resolve()

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

  async commit(batch: MetaBatch): Promise<boolean> {
    const turn = this.#tail.then(async () => {
      for (const { key, equals } of batch.conditions ?? []) {
        if (!isDeepStrictEqual(this.get(key), equals)) return false
      }
      await this.#db.write([
        ...(batch.deletes ?? []).map((key): LevelOperation => ({
          type: 'del',
          key: encodeKey(key),
        })),
        ...(batch.puts ?? []).map(({ key, value }): LevelOperation => ({
          type: 'put',
          key: encodeKey(key),
          value,
        })),
      ])
      return true
    })
    this.#tail = turn.catch(() => undefined) // its caller sees the failure; the next still runs
    return turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail
    await this.#db.close()
  }
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
