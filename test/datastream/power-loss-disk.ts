import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { nodeDisk, type LogDisk, type LogFile } from '../../src/datastream/log-disk.ts'

const PAGE_BYTES = 4096

/**
 * A real folder whose disk loses power in the middle of a change. What was not synced survives page
 * by page, name by name, in any order, as `survives` decides. Afterwards everything fails.
 */
export class PowerLossDisk implements LogDisk {
  steps = 0
  readonly #cutAt: number
  readonly #survives: () => boolean
  /** Contents that are on the disk for sure. */
  readonly #durable = new Map<string, Buffer>()
  /** Files whose name is not. */
  readonly #unnamed = new Set<string>()
  #isOff = false

  constructor(cutAt: number, survives: () => boolean) {
    this.#cutAt = cutAt
    this.#survives = survives
  }

  /** Counts a change; the power may go before it is over. */
  #step(): void {
    if (this.#isOff) throw powerIsOff()
    this.steps += 1
    if (this.steps < this.#cutAt) return
    this.#isOff = true
    for (const [path, durable] of this.#durable) this.#cut(path, durable)
    throw powerIsOff()
  }

  /** Leaves in the folder what the next start finds. */
  #cut(path: string, durable: Buffer): void {
    if (this.#unnamed.has(path) && !this.#survives()) {
      rmSync(path, { force: true })
      return
    }
    const current = readFileSync(path)
    const bytes = Buffer.alloc(this.#survives() ? current.length : durable.length)
    durable.copy(bytes)
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const end = Math.min(at + PAGE_BYTES, bytes.length)
      if (this.#survives()) current.copy(bytes, at, at, Math.min(end, current.length))
    }
    writeFileSync(path, bytes)
  }

  readonly syncDirectory = async (path: string): Promise<void> => {
    this.#step()
    await nodeDisk.syncDirectory(path)
    for (const name of this.#unnamed) if (dirname(name) === path) this.#unnamed.delete(name)
  }

  readonly open: LogDisk['open'] = async (path, flags) => {
    if (this.#isOff) throw powerIsOff()
    const isNew = !existsSync(path)
    const file = await nodeDisk.open(path, flags)
    if (isNew) this.#unnamed.add(path)
    if (isNew || flags === 'w+') this.#durable.set(path, Buffer.alloc(0))
    else if (!this.#durable.has(path)) this.#durable.set(path, readFileSync(path))
    const lossy: LogFile = {
      read: file.read.bind(file),
      stat: file.stat.bind(file),
      close: file.close.bind(file),
      write: (async (bytes: Buffer, offset: number, length: number, position: number) => {
        if (this.#isOff) throw powerIsOff()
        const written = await file.write(bytes, offset, length, position)
        this.#step()
        return written
      }) as LogFile['write'],
      datasync: async () => {
        this.#step()
        this.#durable.set(path, readFileSync(path))
      },
      truncate: async (length) => {
        if (this.#isOff) throw powerIsOff()
        await file.truncate(length)
        this.#step()
      },
    }
    return lossy
  }
}

function powerIsOff(): Error {
  return Object.assign(new Error('EIO: the power is off'), { code: 'EIO' })
}
