import { randomBytes } from 'node:crypto'
import type { MetaStore } from '../platform/meta-store.ts'
import { Turns } from '../platform/turns.ts'

/**
 * The stored rows of one kind of named resource: on the MetaStore, and all in memory, since they are
 * counted in thousands. Durable when a change resolves; changes of one row happen one after the other.
 */
export class NamedRows<R extends { readonly name: string }> {
  readonly #meta: MetaStore
  readonly #prefix: string
  readonly #rows = new Map<string, R>()
  readonly #turns = new Turns()

  static async open<R extends { readonly name: string }>(
    meta: MetaStore,
    prefix: string,
  ): Promise<NamedRows<R>> {
    const rows = new NamedRows<R>(meta, prefix)
    for await (const { value } of meta.entries<R>({ prefix: [prefix] })) {
      rows.#rows.set(value.name, value)
    }
    return rows
  }

  private constructor(meta: MetaStore, prefix: string) {
    this.#meta = meta
    this.#prefix = prefix
  }

  find(name: string): R | null {
    return this.#rows.get(name) ?? null
  }

  values(): IterableIterator<R> {
    return this.#rows.values()
  }

  /** @returns false when the name is taken */
  async insert(row: R): Promise<boolean> {
    const key = [this.#prefix, row.name]
    const inserted = await this.#meta.commit({
      conditions: [{ key, equals: null }],
      puts: [{ key, value: row }],
    })
    if (inserted) this.#rows.set(row.name, row)
    return inserted
  }

  /**
   * @param change sees the row as it is when its turn has come; what it throws changes nothing
   * @returns `null` when there is no such row
   */
  change(name: string, change: (row: R) => R): Promise<R | null> {
    return this.#turns.take(name, async () => {
      const row = this.find(name)
      if (row === null) return null
      const next = change(row)
      await this.#meta.commit({ puts: [{ key: [this.#prefix, name], value: next }] })
      this.#rows.set(name, next)
      return next
    })
  }

  /**
   * @param check sees the row as it is when its turn has come; what it throws keeps it
   * @returns false when there is no such row
   */
  remove(name: string, check: (row: R) => void): Promise<boolean> {
    return this.#turns.take(name, async () => {
      const row = this.find(name)
      if (row === null) return false
      check(row)
      await this.#meta.commit({ deletes: [[this.#prefix, name]] })
      this.#rows.delete(name)
      return true
    })
  }
}

/** What changes with every change of a resource. */
export function newVersion(): string {
  return randomBytes(10).toString('hex')
}
