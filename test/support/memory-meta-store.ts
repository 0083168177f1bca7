import { isDeepStrictEqual } from 'node:util'
import { ServiceError } from '../../src/domain/errors.ts'
import type {
  MetaBatch,
  MetaEntry,
  MetaKey,
  MetaRange,
  MetaStore,
} from '../../src/platform/meta-store.ts'

/** What stays when a {@link MemoryMetaStore} is closed or loses power: its entries in key order. */
export type MetaContents = { entries: readonly MetaEntry<string>[] }

/**
 * A MetaStore in memory, on contents that outlive it. Keeps values as JSON, as a real one does.
 *
 * @param onCommit gets every batch whose conditions hold, to apply it or to fail
 */
export class MemoryMetaStore implements MetaStore {
  readonly #contents: MetaContents
  readonly #onCommit: (apply: () => void) => void
  #tail: Promise<unknown> = Promise.resolve()

  constructor(contents: MetaContents, onCommit: (apply: () => void) => void = (apply) => apply()) {
    this.#contents = contents
    this.#onCommit = onCommit
  }

  get<T>(key: MetaKey): T | null {
    const found = this.#contents.entries.find((entry) => compareKeys(entry.key, key) === 0)
    return found === undefined ? null : (JSON.parse(found.value) as T)
  }

  async *entries<T>(range: MetaRange): AsyncIterable<MetaEntry<T>> {
    const { prefix, from = [], before = null, reverse = false, limit = Infinity } = range
    const found = this.#contents.entries.filter(({ key }) => {
      const rest = key.slice(prefix.length)
      const inPrefix = compareKeys(key.slice(0, prefix.length), prefix) === 0
      if (!inPrefix || rest.length === 0 || compareKeys(rest, from) < 0) return false
      return before === null || compareKeys(rest, before) < 0
    })
    const ordered = reverse ? found.toReversed() : found
    for (const { key, value } of ordered.slice(0, limit)) {
      yield { key, value: JSON.parse(value) as T }
    }
  }

  commit(batch: MetaBatch): Promise<boolean> {
    const { conditions = [], puts = [], deletes = [] } = batch
    const turn = this.#tail.then(async () => {
      for (const { key } of puts) checkKey(key)
      if (!conditions.every(({ key, equals }) => isDeepStrictEqual(this.get(key), equals))) {
        return false
      }
      try {
        this.#onCommit(() => applyBatch(this.#contents, { puts, deletes }))
      } catch (cause) {
        throw new ServiceError('unavailable', 'MetaWriteFailed', 'Not stored.', { cause })
      }
      return true
    })
    this.#tail = turn.catch(() => undefined) // its caller sees the failure
    return turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail
  }
}

function applyBatch(contents: MetaContents, { puts = [], deletes = [] }: MetaBatch): void {
  const gone = [...deletes, ...puts.map(({ key }) => key)]
  const kept = contents.entries.filter(
    ({ key }) => !gone.some((other) => compareKeys(key, other) === 0),
  )
  const added = puts.map(({ key, value }) => ({ key, value: JSON.stringify(value) }))
  contents.entries = [...kept, ...added].sort((a, b) => compareKeys(a.key, b.key))
}

/** Numbers before strings, a key before its longer kin. */
function compareKeys(a: MetaKey, b: MetaKey): number {
  for (const [i, left] of a.entries()) {
    const right = b[i]
    if (right === undefined) return 1
    if (left === right) continue
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
    return left < right ? -1 : 1
  }
  return a.length - b.length
}

function checkKey(key: MetaKey): void {
  for (const element of key) {
    if (typeof element === 'string' && element.includes('\u0000')) {
      throw new RangeError('a key element holds U+0000')
    }
    if (typeof element === 'number' && (!Number.isSafeInteger(element) || element < 0)) {
      throw new RangeError(`a key element is not an integer from 0: ${element}`)
    }
  }
}
