import type { Metrics } from '../observe/metrics.ts'
import type { ShardLevelMetric } from './data-streams.ts'
import type { OpenStream } from './open-stream.ts'

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

  /** Of polls: `ageMs` of the last record returned, 0 when caught up. */
  polled(stream: OpenStream, shard: string, poll: { seconds: number; ageMs: number }): void {
    const { name } = stream.row
    this.#metrics.datastreamReadSeconds.observe({ stream: name }, poll.seconds)
    this.#metrics.datastreamIteratorAgeMs.set({ stream: name }, poll.ageMs)
    if (!isOn(stream, 'IteratorAgeMilliseconds')) return
    this.#metrics.datastreamShardIteratorAgeMs.set({ stream: name, shard }, poll.ageMs)
  }

  stored(stream: OpenStream, bytes: number): void {
    this.#metrics.datastreamStoredBytes.set({ stream: stream.row.name }, bytes)
  }

  /** What stands still would be told for ever. */
  gone({ row: { name } }: OpenStream): void {
    this.#metrics.datastreamStoredBytes.remove({ stream: name })
    this.#metrics.datastreamIteratorAgeMs.remove({ stream: name })
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
