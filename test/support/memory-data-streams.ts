import type {
  DataStreamInfo,
  DataStreams,
  IteratorStart,
  ReadResult,
  ShardInfo,
  ShardPosition,
  StoredRecord,
} from '../../src/datastream/index.ts'
import { ServiceError } from '../../src/domain/errors.ts'
import { epochMs, type EpochMs } from '../../src/domain/time.ts'

type MemoryShard = { info: ShardInfo; records: StoredRecord[] }

/** One stream whose shards a test opens and closes by hand, which the store cannot do yet. */
export class MemoryDataStreams implements Pick<
  DataStreams,
  'describe' | 'seek' | 'read' | 'waitAt'
> {
  readonly #name: string
  readonly #shards = new Map<string, MemoryShard>()
  #waiters: (() => void)[] = []
  #sequence = 0
  createdAt: EpochMs = epochMs(1_000)

  constructor(name: string) {
    this.#name = name
  }

  open(shardId: string, ...parents: string[]): void {
    const info: ShardInfo = {
      shardId,
      parentShardId: parents[0] ?? null,
      adjacentParentShardId: parents[1] ?? null,
      startingHashKey: '0',
      endingHashKey: '0',
      startingSequenceNumber: '0',
      endingSequenceNumber: null,
    }
    this.#shards.set(shardId, { info, records: [] })
  }

  close(shardId: string): void {
    const shard = this.#shards.get(shardId)!
    shard.info = { ...shard.info, endingSequenceNumber: '9' }
    this.#wake()
  }

  /** As when all its records have expired. */
  drop(shardId: string): void {
    this.#shards.delete(shardId)
  }

  add(shardId: string, text: string, arrivedAtMs: number): void {
    this.#sequence += 1
    this.#shards.get(shardId)!.records.push({
      sequenceNumber: String(this.#sequence).padStart(56, '0'),
      partitionKey: shardId,
      data: Buffer.from(text),
      arrivedAt: epochMs(arrivedAtMs),
    })
    this.#wake()
  }

  describe(name: string): DataStreamInfo {
    if (name !== this.#name) {
      throw new ServiceError('not-found', 'ResourceNotFoundException', `No stream ${name}.`)
    }
    return {
      name,
      status: 'ACTIVE',
      createdAt: this.createdAt,
      retentionHours: 24,
      horizon: epochMs(0),
      shards: [...this.#shards.values()].map(({ info }) => info),
    }
  }

  async seek(stream: string, shardId: string, start: IteratorStart): Promise<ShardPosition> {
    const { records } = this.#shards.get(shardId)!
    const indexOf = (matches: (record: StoredRecord) => boolean) => {
      const index = records.findIndex(matches)
      return index === -1 ? records.length : index
    }
    const index = () => {
      switch (start.type) {
        case 'TRIM_HORIZON':
          return 0
        case 'LATEST':
          return records.length
        case 'AT_TIMESTAMP':
          return indexOf(({ arrivedAt }) => arrivedAt >= start.timestamp)
        case 'AT_SEQUENCE_NUMBER':
          return indexOf(({ sequenceNumber }) => sequenceNumber >= start.sequenceNumber)
        case 'AFTER_SEQUENCE_NUMBER':
          return indexOf(({ sequenceNumber }) => sequenceNumber > start.sequenceNumber)
      }
    }
    return { stream, streamCreatedAt: this.createdAt, shardId, index: index() }
  }

  async read(position: ShardPosition, limits: { maxRecords: number }): Promise<ReadResult> {
    const { info, records } = this.#shards.get(position.shardId)!
    const found = records.slice(position.index, position.index + limits.maxRecords)
    const index = position.index + found.length
    const isOver = info.endingSequenceNumber !== null && index === records.length
    return { records: found, next: isOver ? null : { ...position, index }, millisBehindLatest: 0 }
  }

  async waitAt(position: ShardPosition, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (;;) {
      const { info, records } = this.#shards.get(position.shardId)!
      if (info.endingSequenceNumber !== null || records.length > position.index) return
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        this.#waiters.push(resolve)
      })
    }
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
