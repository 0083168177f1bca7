import { ServiceError } from '../domain/errors.ts'
import type { DataStreamStatus, RecordToPut } from './data-streams.ts'
import { hashPartitionKey, parseHashKey } from './hash-range.ts'
import { IteratorAges } from './iterator-ages.ts'
import { shardNotFound } from './plan-reshard.ts'
import { lastWhere } from './segment-index.ts'
import type { Shard } from './shard.ts'
import type { StreamCipher } from './stream-cipher.ts'
import type { StreamConsumers } from './stream-consumers.ts'
import type { StreamRow } from './stream-rows.ts'

/** One generation of a stream at work: its row, its shards, and the way of a record to one of them. */
export class OpenStream {
  row: StreamRow
  status: DataStreamStatus = 'ACTIVE'
  /** Aborts when the stream is deleted. */
  readonly gone = new AbortController()
  readonly consumers: StreamConsumers
  readonly cipher: StreamCipher
  readonly iteratorAges = new IteratorAges()
  readonly #byId = new Map<string, Shard>()
  /** Open shards in the order of their hash ranges, which cover the space without a gap. */
  #byHash: readonly Shard[] = []
  /** Of the shards, where keys do not decide. */
  #turn = 0
  /** While it is there, no append begins: the shards are about to change. */
  #pause: Promise<void> | null = null

  constructor(
    row: StreamRow,
    shards: readonly Shard[],
    parts: { readonly consumers: StreamConsumers; readonly cipher: StreamCipher },
  ) {
    this.row = row
    this.consumers = parts.consumers
    this.cipher = parts.cipher
    this.add(shards)
  }

  /** In order of their number. */
  get shards(): readonly Shard[] {
    return [...this.#byId.values()]
  }

  get openShards(): readonly Shard[] {
    return this.#byHash
  }

  /** @param shards with higher numbers than all before */
  add(shards: readonly Shard[]): void {
    for (const shard of shards) this.#byId.set(shard.info.shardId, shard)
    this.#byHash = this.shards
      .filter((shard) => shard.row.closedAt === null)
      .sort((a, b) => (a.row.range.from < b.row.range.from ? -1 : 1))
  }

  /** Forgets a closed shard that has expired. */
  forget(shard: Shard): void {
    this.#byId.delete(shard.info.shardId)
  }

  /** @throws `not-found`/`ResourceNotFoundException` */
  shard(shardId: string): Shard {
    const shard = this.#byId.get(shardId)
    if (shard === undefined) throw shardNotFound(this.row.name, shardId)
    return shard
  }

  /** The open shard that takes the record. */
  shardFor({ explicitHashKey, partitionKey }: RecordToPut): Shard {
    if (this.row.distribution === 'AUTO') {
      this.#turn = (this.#turn + 1) % this.#byHash.length
      return this.#byHash[this.#turn]!
    }
    if (explicitHashKey === undefined && this.#byHash.length === 1) return this.#byHash[0]!
    const digits =
      explicitHashKey === undefined ? hashPartitionKey(partitionKey) : parseHashKey(explicitHashKey)
    return this.#byHash[lastWhere(this.#byHash, (shard) => shard.row.range.from <= digits)]!
  }

  /**
   * What to wait for before an append; `null`: it may begin now, in this very turn, or it must ask
   * again.
   */
  get pause(): Promise<void> | null {
    return this.#pause
  }

  /** Runs `job` while no append to `shards` is under way and none to the stream begins. */
  async withoutAppends<T>(shards: readonly Shard[], job: () => Promise<T>): Promise<T> {
    const running = Promise.all(shards.map((shard) => shard.appendsEnded())).then(job)
    const pause = running.then(
      () => undefined,
      () => undefined,
    )
    this.#pause = pause
    try {
      return await running
    } finally {
      this.#pause = null
    }
  }

  /** Runs `job`; a failure because the stream was deleted meanwhile says so. */
  async whileThere<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await job()
    } catch (error) {
      this.gone.signal.throwIfAborted()
      throw error
    }
  }

  /** @throws `conflict`/`ResourceInUseException` */
  refuseUnlessActive(): void {
    if (this.status === 'ACTIVE') return
    const { name } = this.row
    throw new ServiceError(
      'conflict',
      'ResourceInUseException',
      `Stream ${name} not ACTIVE, instead in state ${this.status}`,
      { context: { stream: name } },
    )
  }
}
