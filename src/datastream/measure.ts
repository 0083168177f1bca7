import type { EpochMs } from '../domain/time.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { ShardLevelMetric } from './data-streams.ts'
import type { OpenStream } from './open-stream.ts'

const SUBSCRIPTION = ['SubscribeToShard', 'SubscribeToShardEvent']

/**
 * Counts what goes through a shard: for its stream always, for the shard where enhanced monitoring
 * asks for it, since shards are many.
 */
export class Measure {
  readonly #metrics: Metrics

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  put(stream: OpenStream, shard: string, records: number, bytes: number): void {
    const { name } = stream.row
    this.#metrics.datastreamRecordsIn.inc({ stream: name }, records)
    this.#metrics.datastreamBytesIn.inc({ stream: name }, bytes)
    const of = { stream: name, shard }
    if (isOn(stream, 'IncomingRecords')) this.#metrics.datastreamShardRecordsIn.inc(of, records)
    if (isOn(stream, 'IncomingBytes')) this.#metrics.datastreamShardBytesIn.inc(of, bytes)
  }

  putTook(stream: OpenStream, seconds: number): void {
    this.#metrics.datastreamPutSeconds.observe({ stream: stream.row.name }, seconds)
  }

  read(stream: OpenStream, shard: string, records: number, bytes: number): void {
    const { name } = stream.row
    this.#metrics.datastreamRecordsOut.inc({ stream: name }, records)
    this.#metrics.datastreamBytesOut.inc({ stream: name }, bytes)
    const of = { stream: name, shard }
    if (isOn(stream, 'OutgoingRecords')) this.#metrics.datastreamShardRecordsOut.inc(of, records)
    if (isOn(stream, 'OutgoingBytes')) this.#metrics.datastreamShardBytesOut.inc(of, bytes)
  }

  /** Of a poll: how old the last record returned was; 0 when caught up. */
  polled(stream: OpenStream, shard: string, age: { ms: number; polledAt: EpochMs }): void {
    const { name } = stream.row
    const ofStream = stream.iteratorAges.polled(shard, age)
    this.#metrics.datastreamIteratorAgeMs.set({ stream: name }, ofStream)
    if (!isOn(stream, 'IteratorAgeMilliseconds')) return
    this.#metrics.datastreamShardIteratorAgeMs.set({ stream: name, shard }, age.ms)
  }

  stored(stream: OpenStream, bytes: number): void {
    this.#metrics.datastreamStoredBytes.set({ stream: stream.row.name }, bytes)
  }

  /** Names would add up, and what stands still would be told for ever. */
  gone(stream: OpenStream): void {
    const of = { stream: stream.row.name }
    for (const metric of this.#ofStreams()) metric.remove(of)
    for (const { info } of stream.shards) this.shardGone(stream, info.shardId)
    for (const operation of ['GetRecords', 'PutRecord', 'PutRecords', ...SUBSCRIPTION]) {
      this.#metrics.kinesisCallSeconds.remove({ ...of, operation })
      this.#metrics.kinesisCallBytes.remove({ ...of, operation })
      for (const outcome of ['success', 'throttled', 'failed', 'refused']) {
        this.#metrics.kinesisCalls.remove({ ...of, operation, outcome })
        this.#metrics.kinesisCallRecords.remove({ ...of, operation, outcome })
      }
    }
  }

  shardGone(stream: OpenStream, shard: string): void {
    stream.iteratorAges.forget(shard)
    const of = { stream: stream.row.name, shard }
    for (const metric of this.#ofShards()) metric.remove(of)
  }

  #ofStreams() {
    const metrics = this.#metrics
    return [
      ...[metrics.datastreamRecordsIn, metrics.datastreamBytesIn],
      ...[metrics.datastreamRecordsOut, metrics.datastreamBytesOut],
      ...[metrics.datastreamWriteThrottled, metrics.datastreamReadThrottled],
      ...[metrics.datastreamIteratorsThrottled, metrics.datastreamPutSeconds],
      ...[metrics.datastreamStoredBytes, metrics.datastreamIteratorAgeMs],
    ]
  }

  #ofShards() {
    const metrics = this.#metrics
    return [
      ...[metrics.datastreamShardRecordsIn, metrics.datastreamShardBytesIn],
      ...[metrics.datastreamShardRecordsOut, metrics.datastreamShardBytesOut],
      ...[metrics.datastreamShardWriteThrottled, metrics.datastreamShardReadThrottled],
      ...[metrics.datastreamShardIteratorAgeMs, metrics.datastreamHotKeys],
    ]
  }

  iteratorThrottled({ row: { name } }: OpenStream): void {
    this.#metrics.datastreamIteratorsThrottled.inc({ stream: name })
  }

  writeThrottled(stream: OpenStream, shard: string): void {
    const { name } = stream.row
    this.#metrics.datastreamWriteThrottled.inc({ stream: name })
    if (!isOn(stream, 'WriteProvisionedThroughputExceeded')) return
    this.#metrics.datastreamShardWriteThrottled.inc({ stream: name, shard })
  }

  readThrottled(stream: OpenStream, shard: string): void {
    const { name } = stream.row
    this.#metrics.datastreamReadThrottled.inc({ stream: name })
    if (!isOn(stream, 'ReadProvisionedThroughputExceeded')) return
    this.#metrics.datastreamShardReadThrottled.inc({ stream: name, shard })
  }
}

function isOn({ row }: OpenStream, metric: ShardLevelMetric): boolean {
  return row.shardLevelMetrics.length > 0 && row.shardLevelMetrics.includes(metric)
}
