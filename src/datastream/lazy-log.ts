import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { LogEntry, LogEntryToAppend, ShardLog } from './shard-log.ts'
import { createUnreadableLog } from './unreadable-log.ts'

/**
 * A log that is opened when somebody first needs it. To open one means to list its segments, so a
 * service that opened all of them before it served anybody would start slower the more is stored.
 *
 * `firstIndex` and `nextIndex` are known when {@link opened} has resolved, or anything else has.
 */
export class LazyLog implements ShardLog {
  readonly #open: () => Promise<ShardLog>
  #opening: Promise<ShardLog> | null = null
  #log: ShardLog | null = null

  /** @param open never rejects: a log that cannot be opened is one that answers so */
  constructor(open: () => Promise<ShardLog>) {
    this.#open = open
  }

  async opened(): Promise<void> {
    if (this.#log === null) await this.#whenOpen()
  }

  async #whenOpen(): Promise<ShardLog> {
    this.#opening ??= this.#open()
    this.#log = await this.#opening
    return this.#log
  }

  get firstIndex(): number {
    return this.#known.firstIndex
  }

  get nextIndex(): number {
    return this.#known.nextIndex
  }

  get #known(): ShardLog {
    if (this.#log === null) throw new Error('a log is asked before it is open')
    return this.#log
  }

  async append(batch: readonly LogEntryToAppend[]) {
    return (this.#log ?? (await this.#whenOpen())).append(batch)
  }

  async read(
    index: number,
    limits: { maxEntries: number; maxBytes: number },
  ): Promise<readonly LogEntry[]> {
    return (this.#log ?? (await this.#whenOpen())).read(index, limits)
  }

  async seekTime(time: EpochMs): Promise<number> {
    return (this.#log ?? (await this.#whenOpen())).seekTime(time)
  }

  async trimBefore(time: EpochMs): Promise<void> {
    await (this.#log ?? (await this.#whenOpen())).trimBefore(time)
  }

  async storedBytes(): Promise<number> {
    return (this.#log ?? (await this.#whenOpen())).storedBytes()
  }

  async seal(): Promise<void> {
    await (this.#log ?? (await this.#whenOpen())).seal()
  }

  /** One that nobody needed is not opened for this. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#opening ??= Promise.resolve(createUnreadableLog(closed()))
    const log = await this.#whenOpen()
    await log[Symbol.asyncDispose]()
  }
}

function closed(): ServiceError {
  return new ServiceError('unavailable', 'LogClosed', 'The log is closed.')
}
