import { open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ClassicLevel } from 'classic-level'
import { ServiceError } from '../domain/errors.ts'
import { keepReserve, releaseReserve } from './disk-reserve.ts'
import { findLevelDamage } from './level/check-files.ts'

export type LevelOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: unknown }
  | { readonly type: 'del'; readonly key: string }

/**
 * A LevelDB whose synced writes are there after the next start, whatever the disk refused in
 * between. By itself LevelDB does not keep that promise: a refused write leaves a piece of a record
 * in its log, later writes go behind it, and the next start reads no further than to the piece.
 * (LevelDB, doc/log_format.md; `DBImpl::Write` notes a failed sync but not a failed append.)
 *
 *   1. After a refused write nothing is written until there is space again.
 *   2. Then LevelDB writes its memory to a table and begins another log; if that was not enough, it
 *      is closed and opened, during which reads fail.
 *   3. Only then the next write.
 *
 * Tables are written when it is opened, too. A reserve on the disk makes both possible.
 */
export class LevelDatabase {
  readonly #db: ClassicLevel<string, unknown>
  readonly #directory: string
  readonly #reserve: string
  #reserveBytes: number
  #refusedInRow = 0

  /** @throws ServiceError as {@link openLevelMetaStore} says */
  static async open(directory: string, reserveBytes: number): Promise<LevelDatabase> {
    const damage = await findLastingDamage(directory)
    if (damage !== null) throw corrupted(directory, damage, null)
    const database = new LevelDatabase(directory, reserveBytes) // which begins to open it
    try {
      await database.#open()
      await syncDirectory(directory) // the log that it began is named in the MANIFEST
    } catch (error) {
      throw notOpened(directory, error)
    }
    return database
  }

  private constructor(directory: string, reserveBytes: number) {
    this.#db = new ClassicLevel<string, unknown>(directory, {
      valueEncoding: 'json',
      maxOpenFiles: MAX_OPEN_FILES,
      cacheSize: CACHE_BYTES,
    })
    this.#directory = directory
    this.#reserve = join(directory, RESERVE_FILE)
    this.#reserveBytes = reserveBytes
  }

  get(key: string): unknown {
    return this.#db.getSync(key)
  }

  /** Read ahead more and more: a look-up wants one or two, and each read is a way to another thread. */
  async *entries(options: {
    readonly gte: string
    readonly lt: string
    readonly reverse: boolean
    readonly limit: number
  }): AsyncGenerator<readonly [string, unknown]> {
    const iterator = this.#db.iterator(options)
    try {
      for (let count = 4; ; count = Math.min(count * 4, MAX_READ_AHEAD)) {
        const entries = await iterator.nextv(count)
        if (entries.length === 0) return
        for (const entry of entries) yield entry
      }
    } finally {
      await iterator.close()
    }
  }

  /**
   * All or nothing, and on disk when it resolves. One at a time: the caller waits for each.
   *
   * @throws ServiceError `unavailable`/`MetaWriteFailed`
   */
  async write(operations: readonly LevelOperation[]): Promise<void> {
    try {
      if (this.#refusedInRow > 0) await this.#makeSound()
      await this.#db.batch([...operations], { sync: true })
      this.#refusedInRow = 0
    } catch (cause) {
      this.#refusedInRow += 1
      throw new ServiceError(
        'unavailable',
        'MetaWriteFailed',
        'The change could not be stored: the disk refuses writes.',
        { cause },
      )
    }
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  async #open(): Promise<void> {
    await this.#db.open().catch(async (error: unknown) => {
      const releasedBytes = isDiskFull(error) ? await releaseReserve(this.#reserve) : 0
      if (releasedBytes === 0) throw error
      this.#reserveBytes = Math.min(this.#reserveBytes, releasedBytes - START_BYTES)
      await this.#db.open()
    })
    if (this.#reserveBytes > 0) await keepReserve(this.#reserve, this.#reserveBytes)
  }

  async #makeSound(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory)
    if (bavail * bsize < START_BYTES) throw new Error('no space left on the disk')
    if (this.#refusedInRow > 1) {
      await this.#db.close()
      await this.#open()
      return
    }
    await releaseReserve(this.#reserve)
    // Of the range nothing is compacted, but always what is in memory first (db.h, CompactRange).
    await this.#db.compactRange('', '')
    if (this.#reserveBytes > 0) await keepReserve(this.#reserve, this.#reserveBytes)
  }
}

/**
 * An open table has its index in memory, some 100 KB, and is mapped: with LevelDB's 1,000 memory would
 * grow up to 2 GB of rows. These are 64 and LevelDB's own 10, the least that it takes; opening one
 * again takes a tenth of a millisecond.
 */
const MAX_OPEN_FILES = 74

/**
 * Of LevelDB's blocks, uncompressed. Its 8 MiB hold a tenth of ten years of chunks, so that a look-up finds
 * its blocks no more often, and the system has them in its own cache.
 */
const CACHE_BYTES = 2 * 1024 * 1024

/** Entries that wait in memory while a range is read. */
const MAX_READ_AHEAD = 256

/** Room for what is written between a start on a full disk and the first deletion. */
const START_BYTES = 1024 * 1024

/** In the database's folder, where it leaves alone what it does not know. */
const RESERVE_FILE = 'reserve'

/** What another process writes at the moment may look damaged: it looks again before it says so. */
async function findLastingDamage(directory: string): Promise<string | null> {
  let damage: string | null = null
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) await delay(LOOK_AGAIN_MS)
    damage = await findLevelDamage(directory)
    if (damage === null) return null
  }
  return damage
}

const LOOKS = 3
const LOOK_AGAIN_MS = 100

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** LevelDB gives no code for it, only the system's text. */
function isDiskFull(error: unknown): boolean {
  return /No space left|quota exceeded/i.test(causeOf(error).message)
}

function causeOf(error: unknown): { readonly code?: string; readonly message: string } {
  const { cause = error } = error as { cause?: unknown }
  return cause as { code?: string; message: string }
}

function corrupted(directory: string, why: string, cause: unknown): ServiceError {
  return new ServiceError(
    'data-loss',
    'MetaStoreCorrupted',
    `${directory} is damaged: ${why}. Put back a copy of it that was made while the service was ` +
      'stopped, or save what can be saved of it with `kinora fsck --rebuild`: see docs/guide/running.md.',
    cause === null ? {} : { cause },
  )
}

function notOpened(directory: string, error: unknown): ServiceError {
  const { code, message } = causeOf(error)
  if (code === 'LEVEL_LOCKED') {
    return new ServiceError(
      'conflict',
      'DataDirectoryInUse',
      `Another process uses ${directory}: one service at a time may.`,
      { cause: error },
    )
  }
  if (code === 'LEVEL_CORRUPTION') {
    return corrupted(directory, message, error)
  }
  return new ServiceError(
    'unavailable',
    'MetaStoreNotOpened',
    `${directory} cannot be opened: ${message}`,
    { cause: error },
  )
}
