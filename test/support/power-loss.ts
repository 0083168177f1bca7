import { dirname } from 'node:path'
import type { ChunkStore, ChunkStoreFile } from '../../src/archive/chunk-store.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { MemoryMetaStore, type MetaContents } from './memory-meta-store.ts'

/**
 * What of the changes that were not synced is on the disk after the power came back: each page, each
 * name and the commit under way are asked for on their own, so that they survive in any order.
 */
export type Survival = () => boolean

const PAGE_BYTES = 4096

/**
 * A disk that loses power: a ChunkStore and a MetaStore in memory that know, besides what a reader
 * sees now, what is on the disk for sure. Contents are after the file's last sync, names after the
 * directory's, a commit when it resolved. {@link PowerLossDisk.cutAt} names the change in the middle
 * of which the power goes; from then on everything fails.
 */
export class PowerLossDisk {
  /** Changes asked for so far, by name: the steps at which the power may go. */
  readonly operations: string[] = []
  readonly store: ChunkStore
  readonly meta: MetaStore
  readonly #contents: MetaContents
  readonly #names: Map<string, Inode>
  readonly #durableNames: Map<string, Inode>
  readonly #directories: Set<string>
  readonly #survives: Survival
  #cutAt = Infinity
  #survivors: PowerLossDisk | null = null

  constructor(
    survives: Survival = () => false,
    kept: {
      readonly names: ReadonlyMap<string, Inode>
      readonly directories: ReadonlySet<string>
      readonly meta: MetaContents
    } = { names: new Map(), directories: new Set(['/']), meta: { entries: [] } },
  ) {
    this.#survives = survives
    this.#names = new Map(kept.names)
    this.#durableNames = new Map(kept.names)
    this.#directories = new Set(kept.directories)
    this.#contents = kept.meta
    this.store = this.#makeStore()
    this.meta = new MemoryMetaStore(this.#contents, (apply) => this.#commit(apply))
  }

  /** The power goes during this change, counted from 1. */
  set cutAt(step: number) {
    this.#cutAt = step
  }

  get steps(): number {
    return this.operations.length
  }

  get isOff(): boolean {
    return this.#survivors !== null
  }

  /** The disk as the next start finds it. Without a power cut before, it goes now. */
  afterPowerCut(): PowerLossDisk {
    this.#survivors ??= this.#cut()
    return this.#survivors
  }

  /** What is in a file now. */
  bytesOf(path: string): Buffer {
    return Buffer.from(this.#inode(path).current)
  }

  /** Counts a change; whether the power goes before it is over. */
  #isCutNow(operation: string): boolean {
    if (this.isOff) throw ioError()
    this.operations.push(operation)
    return this.steps >= this.#cutAt
  }

  /** Makes a change that is not on the disk until a sync, which it is called with. */
  async #change<T>(operation: string, apply: () => T): Promise<T> {
    const isCut = this.#isCutNow(operation)
    const result = apply()
    if (isCut) this.#goOff()
    await Promise.resolve()
    return result
  }

  /** A sync during which the power goes has promised nothing. */
  async #sync(operation: string, apply: () => void): Promise<void> {
    if (this.#isCutNow(operation)) this.#goOff()
    apply()
    await Promise.resolve()
  }

  /** A commit during which the power goes is there or not. */
  #commit(apply: () => void): void {
    const isCut = this.#isCutNow('commit')
    if (!isCut || this.#survives()) apply()
    if (isCut) this.#goOff()
  }

  #goOff(): never {
    this.#survivors = this.#cut()
    throw ioError()
  }

  #cut(): PowerLossDisk {
    const names = new Map<string, Inode>()
    for (const path of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
      const [now, before] = [this.#names.get(path), this.#durableNames.get(path)]
      const inode = now === before || !this.#survives() ? before : now
      if (inode !== undefined) names.set(path, inode.afterPowerCut(this.#survives))
    }
    const directories = new Set(this.#directories)
    for (const path of names.keys()) {
      for (let up = dirname(path); !directories.has(up); up = dirname(up)) directories.add(up)
    }
    return new PowerLossDisk(this.#survives, {
      ...{ names, directories, meta: { entries: this.#contents.entries } },
    })
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw fileError('ENOENT', path)
    return inode
  }

  #makeStore(): ChunkStore {
    return {
      open: async (path, flags) => {
        if (flags === 'wx+') {
          if (this.#names.has(path)) throw fileError('EEXIST', path)
          if (!this.#directories.has(dirname(path))) throw fileError('ENOENT', path)
          await this.#change('create', () => this.#names.set(path, new Inode()))
        }
        return this.#open(this.#inode(path), flags !== 'r')
      },
      makeDirectory: async (path) => {
        if (this.#directories.has(path)) return
        await this.#change('makeDirectory', () => {
          for (let up = path; !this.#directories.has(up); up = dirname(up)) {
            this.#directories.add(up)
          }
        })
      },
      syncDirectory: async (path) => {
        if (!this.#directories.has(path)) throw fileError('ENOENT', path)
        await this.#sync('syncDirectory', () => {
          const inIt = (name: string) => dirname(name) === path
          for (const name of [...this.#durableNames.keys()].filter(inIt)) {
            if (!this.#names.has(name)) this.#durableNames.delete(name)
          }
          for (const name of [...this.#names.keys()].filter(inIt)) {
            this.#durableNames.set(name, this.#inode(name))
          }
        })
      },
      unlink: async (path) => {
        this.#inode(path)
        await this.#change('unlink', () => this.#names.delete(path))
      },
      removeEmptyDirectory: async (path) => {
        const below = (name: string) => name.startsWith(`${path}/`)
        if ([...this.#names.keys(), ...this.#directories].some(below)) return
        if (!this.#directories.has(path)) return
        await this.#change('removeEmptyDirectory', () => this.#directories.delete(path))
      },
      list: (path) => this.#list(path),
    }
  }

  async *#list(path: string): AsyncGenerator<string> {
    for (const name of [...this.#names.keys()]) if (name.startsWith(`${path}/`)) yield name
  }

  #open(inode: Inode, writable: boolean): ChunkStoreFile {
    const toWrite = () => {
      if (!writable) throw Object.assign(new Error('EBADF: bad file descriptor'), { code: 'EBADF' })
    }
    return {
      write: async (parts, position) => {
        toWrite()
        await this.#change('write', () => inode.write(Buffer.concat(parts), position))
      },
      read: async (position, length) =>
        Buffer.from(inode.current.subarray(position, position + length)),
      size: async () => inode.current.length,
      truncate: async (length) => {
        toWrite()
        await this.#change('truncate', () => inode.truncate(length))
      },
      sync: () => this.#sync('sync', () => inode.sync()),
      close: async () => {},
    }
  }
}

/** A file's bytes as a reader sees them, and what is on the disk for sure. */
class Inode {
  current: Buffer
  #durable: Buffer
  /** Every length that it had since the last sync. */
  #lengths: number[]

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.current = bytes
    this.#durable = bytes
    this.#lengths = [bytes.length]
  }

  write(bytes: Buffer, position: number): void {
    const length = Math.max(this.current.length, position + bytes.length)
    this.#replace(length, (changed) => bytes.copy(changed, position))
  }

  truncate(length: number): void {
    this.#replace(length, () => {})
  }

  sync(): void {
    this.#durable = this.current
    this.#lengths = [this.current.length]
  }

  /** Of the lengths that it had one, and of every page what was or what is; a page of neither is 0. */
  afterPowerCut(survives: Survival): Inode {
    let length = this.#lengths[0]!
    for (const later of this.#lengths.slice(1)) if (survives()) length = later
    const bytes = Buffer.alloc(length)
    this.#durable.copy(bytes)
    for (let at = 0; at < length; at += PAGE_BYTES) {
      if (!survives()) continue
      const end = Math.min(at + PAGE_BYTES, length)
      bytes.fill(0, at, end)
      if (at < this.current.length)
        this.current.copy(bytes, at, at, Math.min(end, this.current.length))
    }
    return new Inode(bytes)
  }

  #replace(length: number, write: (bytes: Buffer) => void): void {
    const changed = Buffer.alloc(length)
    this.current.copy(changed)
    write(changed)
    this.current = changed
    this.#lengths.push(length)
  }
}

function fileError(code: 'ENOENT' | 'EEXIST', path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function ioError(): Error {
  return Object.assign(new Error('EIO: the power is off'), { code: 'EIO' })
}
