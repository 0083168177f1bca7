import { rm } from 'node:fs/promises'
import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { DataStreams } from './data-streams.ts'
import { nodeDisk } from './log-disk.ts'
import { peakKey } from './on-demand.ts'
import type { OpenStream } from './open-stream.ts'
import { beingChanged } from './reshard.ts'
import { folderOf, folderOfShard, type StoreParts } from './store-parts.ts'
import {
  creationBatch,
  deletionBatch,
  garbageGoneBatch,
  planCreation,
  planGeneration,
  readGarbage,
  readStreams,
  shardGarbageGoneBatch,
  type StoredStream,
} from './stream-rows.ts'

/** Of the account, where quotas are enforced (KDS developer guide, "Quotas and limits"). */
const MAX_ON_DEMAND_STREAMS = 50

/** The streams that are there: how they come and go, and how much of them there may be. */
export class StreamCatalogue {
  readonly #parts: StoreParts
  readonly #open: (stored: StoredStream) => Promise<OpenStream>
  readonly #streams = new Map<string, OpenStream>()
  /** Names whose creation or deletion is on its way. */
  readonly #busy = new Set<string>()
  /** Shards of streams being created, so that the limit holds meanwhile. */
  #shardsOnTheWay = 0
  #creating: Promise<unknown> = Promise.resolve()
  #sweeping: Promise<void> = Promise.resolve()

  /** @param open starts a stream's work */
  constructor(parts: StoreParts, open: (stored: StoredStream) => Promise<OpenStream>) {
    this.#parts = parts
    this.#open = open
  }

  /** Opens the streams that are stored, and begins to finish deletions that a crash interrupted. */
  async load(): Promise<void> {
    const garbage = await readGarbage(this.#parts.meta)
    // Meanwhile: folders of what is gone are never used again, and may be large.
    this.#sweeping = this.#sweep(garbage)
    for (const stored of await readStreams(this.#parts.meta)) {
      this.#streams.set(stored.stream.name, await this.#open(stored))
    }
  }

  /** Never rejects: what could not be removed is removed by a later start. */
  async #sweep(garbage: Awaited<ReturnType<typeof readGarbage>>): Promise<void> {
    try {
      for (const { createdAt, number } of garbage) {
        if (number === null) await this.#removeFiles(createdAt)
        else await this.#removeShardFiles(createdAt, number)
      }
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'files of deleted streams could not be removed')
    }
  }

  /** In order. */
  names(): readonly string[] {
    return [...this.#streams.keys()].sort()
  }

  streams(): Iterable<OpenStream> {
    return this.#streams.values()
  }

  /** @throws `not-found`/`ResourceNotFoundException` */
  find(name: string): OpenStream {
    const stream = this.#streams.get(name)
    if (stream === undefined) throw notFound(name)
    return stream
  }

  async create(options: Parameters<DataStreams['create']>[0]): Promise<void> {
    const { name, shardCount } = options
    if (this.#streams.has(name) || this.#busy.has(name)) throw nameTaken(name)
    this.refuseShards(shardCount)
    if (options.mode === 'ON_DEMAND') this.refuseOnDemand()
    this.#busy.add(name)
    this.#shardsOnTheWay += shardCount
    try {
      // In turn: two creations must not be given the same time.
      const created = this.#creating.then(async () => {
        const createdAt = planGeneration(this.#parts.meta, this.#parts.clock.now())
        const stored = planCreation(options, createdAt)
        if (!(await this.#parts.meta.commit(creationBatch(stored)))) throw nameTaken(name)
        return stored
      })
      this.#creating = created.catch(() => undefined)
      this.#streams.set(name, await this.#open(await created))
    } finally {
      this.#busy.delete(name)
      this.#shardsOnTheWay -= shardCount
    }
  }

  /** @throws `limit-exceeded`/`LimitExceededException` when so many more open shards are too many */
  refuseShards(added: number): void {
    const { maxShards } = this.#parts.options
    const current = this.#openShardCount() + this.#shardsOnTheWay
    if (added <= 0 || current + added <= maxShards) return
    throw new ServiceError(
      'limit-exceeded',
      'LimitExceededException',
      'This request would exceed the shard limit for the account. ' +
        `Current shard count for the account: ${current}. Limit: ${maxShards}. ` +
        `Number of additional shards that would have resulted from this request: ${added}.`,
    )
  }

  #openShardCount(): number {
    let count = 0
    for (const stream of this.#streams.values()) count += stream.openShards.length
    return count
  }

  /** @throws `limit-exceeded`/`LimitExceededException` when one more is too many, where quotas hold */
  refuseOnDemand(): void {
    if (this.#parts.options.quotas === 'off') return
    const { onDemandStreams } = this.limits()
    if (onDemandStreams < MAX_ON_DEMAND_STREAMS) return
    throw new ServiceError(
      'limit-exceeded',
      'LimitExceededException',
      `This request would exceed the on-demand stream limit for the account: ${MAX_ON_DEMAND_STREAMS}.`,
    )
  }

  limits(): ReturnType<DataStreams['limits']> {
    let onDemandStreams = 0
    for (const { row } of this.#streams.values()) if (row.mode === 'ON_DEMAND') onDemandStreams += 1
    return {
      openShards: this.#openShardCount(),
      maxShards: this.#parts.options.maxShards,
      onDemandStreams,
      maxOnDemandStreams: MAX_ON_DEMAND_STREAMS,
    }
  }

  /**
   * 1. the row is gone and the garbage row is there, in one step; 2. readers and writers are told;
   * 3. the files are removed; 4. the garbage row. A crash after 1 is finished by the next start.
   */
  async delete(name: string): Promise<void> {
    const stream = this.find(name)
    stream.refuseUnlessActive()
    stream.status = 'DELETING'
    this.#busy.add(name)
    try {
      const shards = stream.shards.map((shard) => shard.row)
      const rows = [
        ...stream.consumers.rowsToDelete(),
        ...stream.cipher.rowsToDelete(),
        peakKey(stream.row.createdAt),
      ]
      const batch = deletionBatch({ stream: stream.row, shards }, rows)
      if (!(await this.#parts.meta.commit(batch))) throw beingChanged(name)
      this.#streams.delete(name)
      this.#parts.measure.gone(stream)
      stream.gone.abort(notFound(name))
      for (const shard of stream.shards) await shard[Symbol.asyncDispose]()
      await this.#removeFiles(stream.row.createdAt)
    } catch (error) {
      stream.status = 'ACTIVE'
      throw error
    } finally {
      this.#busy.delete(name)
    }
  }

  async #removeFiles(createdAt: EpochMs): Promise<void> {
    const { directory, meta, options } = this.#parts
    const disk = options.segment.disk ?? nodeDisk
    await rm(folderOf(this.#parts, createdAt), { recursive: true, force: true })
    await disk.syncDirectory(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error // nothing was ever put
    })
    await meta.commit(garbageGoneBatch(createdAt))
  }

  async #removeShardFiles(createdAt: EpochMs, number: number): Promise<void> {
    await rm(folderOfShard(this.#parts, createdAt, number), { recursive: true, force: true })
    await this.#parts.meta.commit(shardGarbageGoneBatch(createdAt, number))
  }

  /** Ends the streams' work, when creations that were begun are done. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#creating
    await this.#sweeping
    for (const stream of this.#streams.values()) {
      for (const shard of stream.shards) await shard[Symbol.asyncDispose]()
    }
  }
}

function nameTaken(name: string): ServiceError {
  return new ServiceError(
    'conflict',
    'ResourceInUseException',
    `Stream ${name} already exists or is being created or deleted.`,
    { context: { stream: name } },
  )
}

export function notFound(name: string): ServiceError {
  return new ServiceError('not-found', 'ResourceNotFoundException', `Stream ${name} not found.`, {
    context: { stream: name },
  })
}
