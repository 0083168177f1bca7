import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Takes lines; never throws and never makes the caller wait. */
export interface LineSink extends AsyncDisposable {
  write(line: string): void
}

export type AuditFileOptions = {
  readonly path: string
  /** The file is set aside before a line would make it larger. */
  readonly maxFileBytes: number
  /** Of them all, the one being written included; the oldest is removed. */
  readonly maxFiles: number
  readonly metrics: Metrics
  readonly log: Log
}

/** Lines waiting for the disk; further ones are dropped and counted. */
const MAX_WAITING = 10_000

/**
 * A file of lines that is rotated by size: `<path>`, `<path>.1`, ... from the newest to the oldest.
 * What cannot be written is dropped and counted: a full disk costs the lines, never a request.
 */
export function openAuditFile(options: AuditFileOptions): LineSink {
  return new AuditFile(options)
}

class AuditFile implements LineSink {
  readonly #options: AuditFileOptions
  #waiting: string[] = []
  #writing: Promise<void> | null = null
  #file: { readonly handle: FileHandle; bytes: number } | null = null

  constructor(options: AuditFileOptions) {
    this.#options = options
  }

  write(line: string): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#options.metrics.auditDropped.inc({ reason: 'queue-full' })
      return
    }
    this.#waiting.push(line)
    this.#writing ??= this.#writeWaiting()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    const file = this.#file
    this.#file = null
    if (file === null) return
    await file.handle.sync().catch(() => undefined) // the lines are counted as written
    await file.handle.close()
  }

  /** Never rejects. Lines that come while a write is under way share the next one. */
  async #writeWaiting(): Promise<void> {
    await Promise.resolve() // the caller first
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      this.#waiting = []
      await this.#writeAll(lines)
    }
    this.#writing = null
  }

  async #writeAll(lines: readonly string[]): Promise<void> {
    const { maxFileBytes, metrics, log, path } = this.#options
    let written = 0
    try {
      while (written < lines.length) {
        let file = (this.#file ??= await this.#open())
        if (file.bytes > 0 && file.bytes + Buffer.byteLength(lines[written]!) > maxFileBytes) {
          await this.#rotate()
          file = this.#file = await this.#open()
        }
        const batch = takeBatch(lines.slice(written), maxFileBytes - file.bytes)
        const bytes = Buffer.from(batch.join(''))
        file.bytes += bytes.length
        await writeWhole(file.handle, bytes)
        written += batch.length
      }
    } catch (error) {
      const count = lines.length - written
      metrics.auditDropped.inc({ reason: 'write-failed' }, count)
      log.error({ err: error, count, path }, 'audit lines not written')
      await this.#file?.handle.close().catch(() => undefined)
      this.#file = null // opened anew with the next line
    }
  }

  async #open(): Promise<{ readonly handle: FileHandle; bytes: number }> {
    const handle = await open(this.#options.path, 'a+', 0o600)
    try {
      const { size } = await handle.stat()
      // What a full disk or a kill left of a line gets an end, so that the next one is whole.
      const last = Buffer.alloc(1)
      if (size > 0) await handle.read(last, 0, 1, size - 1)
      if (size > 0 && last[0] !== NEWLINE) await writeWhole(handle, Buffer.of(NEWLINE))
      return { handle, bytes: size }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #rotate(): Promise<void> {
    const { path, maxFiles } = this.#options
    await this.#file?.handle.close()
    this.#file = null
    if (maxFiles === 1) {
      await rm(path, { force: true })
      return
    }
    for (let n = maxFiles - 2; n >= 0; n--) {
      const from = n === 0 ? path : `${path}.${n}`
      await rename(from, `${path}.${n + 1}`).catch(ignoreMissing)
    }
  }
}

const NEWLINE = 0x0a

/** As many lines as fit, one at least. */
function takeBatch(lines: readonly string[], room: number): readonly string[] {
  let bytes = 0
  const end = lines.findIndex((line, i) => {
    bytes += Buffer.byteLength(line)
    return i > 0 && bytes > room
  })
  return end < 0 ? lines : lines.slice(0, end)
}

async function writeWhole(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at)
    at += bytesWritten
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

/** Lines on standard output, beside the log's. */
export function createStandardOutputSink(): LineSink {
  return {
    write: (line) => void process.stdout.write(line),
    [Symbol.asyncDispose]: async () => undefined,
  }
}
