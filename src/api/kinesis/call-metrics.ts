import { ServiceError, type ErrorKind } from '../../domain/errors.ts'
import type { PutOutcome, StoredRecord } from '../../datastream/index.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { RecordInput } from './record-input.ts'

/** An operation as the service's metrics name it, on a stream that exists. */
export type MeasuredCall = {
  readonly stream: string
  readonly operation:
    'GetRecords' | 'PutRecord' | 'PutRecords' | 'SubscribeToShard' | 'SubscribeToShardEvent'
}
/** How a call or a record ended: done, over a limit, by our fault, or by the caller's. */
type Outcome = 'success' | 'throttled' | 'failed' | 'refused'

const OUR_FAULT: ReadonlySet<ErrorKind> = new Set(['unavailable', 'data-loss', 'internal'])

/**
 * Counts the data operations under the names that users of the service alarm on (developer guide,
 * "Stream-level metrics"); what each of them is here: docs/ref/kinesis.md, "Metrics". The store counts
 * what is of a stream, whoever reads and writes it.
 */
export class CallMetrics {
  readonly #metrics: Metrics

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /**
   * Runs a call, and counts how it ended and how long it took.
   *
   * @param outcomeOf how a call that threw nothing ended; default: well
   */
  async measure<T>(
    call: MeasuredCall,
    job: () => Promise<T>,
    outcomeOf: (result: T) => Outcome = () => 'success',
  ): Promise<T> {
    const startedAt = performance.now()
    try {
      const result = await job()
      this.#metrics.kinesisCallSeconds.observe(call, (performance.now() - startedAt) / 1000)
      this.ended(call, outcomeOf(result))
      return result
    } catch (error) {
      // Of a stream that is gone nothing is told: names would add up.
      if (isOf('not-found', error)) throw error
      // Taken already, or too soon: the service counts both as "SubscribeToShard.RateExceeded".
      const isTaken = call.operation === 'SubscribeToShard' && isOf('conflict', error)
      this.ended(call, isTaken ? 'throttled' : outcomeOfError(error))
      throw error
    }
  }

  ended({ stream, operation }: MeasuredCall, outcome: Outcome): void {
    this.#metrics.kinesisCalls.inc({ stream, operation, outcome })
  }

  /** Records that were put, each with its own end; bytes are of those that are stored. */
  put(
    { stream, operation }: MeasuredCall,
    records: readonly RecordInput[],
    outcomes: readonly PutOutcome[],
  ): void {
    const counts = { success: 0, throttled: 0, failed: 0, refused: 0 }
    let bytes = 0
    outcomes.forEach((outcome, i) => {
      if ('error' in outcome) {
        counts[outcomeOfError(outcome.error)] += 1
        return
      }
      const { Data, PartitionKey = '' } = records[i]!
      counts.success += 1
      bytes += Data.length + Buffer.byteLength(PartitionKey)
    })
    for (const outcome of ['success', 'throttled', 'failed', 'refused'] as const) {
      if (counts[outcome] === 0) continue
      this.#metrics.kinesisCallRecords.inc({ stream, operation, outcome }, counts[outcome])
    }
    this.#metrics.kinesisCallBytes.inc({ stream, operation }, bytes)
  }

  /** Records that were read or pushed. */
  read({ stream, operation }: MeasuredCall, records: readonly StoredRecord[]): void {
    let bytes = 0
    for (const { data, partitionKey } of records) {
      bytes += data.byteLength + Buffer.byteLength(partitionKey)
    }
    const outcome: Outcome = 'success'
    this.#metrics.kinesisCallRecords.inc({ stream, operation, outcome }, records.length)
    this.#metrics.kinesisCallBytes.inc({ stream, operation }, bytes)
  }

  /** How far a subscriber is behind the newest record of its shard. */
  subscriberBehind(of: { stream: string; consumer: string; shard: string }, ms: number): void {
    this.#metrics.kinesisSubscriberLagMs.set(of, ms)
  }

  /** A subscription is over: what stands still would be told for ever. */
  subscriberGone(of: { stream: string; consumer: string; shard: string }): void {
    this.#metrics.kinesisSubscriberLagMs.remove(of)
  }
}

export function outcomeOfError(error: unknown): Outcome {
  if (!(error instanceof ServiceError)) return 'failed'
  if (error.kind === 'limit-exceeded') return 'throttled'
  return OUR_FAULT.has(error.kind) ? 'failed' : 'refused'
}

function isOf(kind: ErrorKind, error: unknown): boolean {
  return error instanceof ServiceError && error.kind === kind
}
