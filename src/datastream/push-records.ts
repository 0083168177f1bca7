import type { Clock } from '../platform/clock.ts'
import type { ReadLimits, ReadResult, ShardPosition, SubscriptionEvent } from './data-streams.ts'
import type { OpenStream } from './open-stream.ts'
import { bytesOf } from './read-records.ts'
import type { TokenBucket } from '../platform/token-bucket.ts'

/** One event holds at most so much, unless a single record is larger. */
const EVENT_LIMITS: ReadLimits = { maxRecords: 10_000, maxBytes: 1024 * 1024 }
/** Without records, an event so often says how far the reader is. */
const HEARTBEAT_MS = 5_000
/** KDS API: SubscribeToShard: "This connection persists for up to 5 minutes". */
const LIFETIME_MS = 300_000

export type PushOptions = {
  readonly stream: OpenStream
  readonly position: ShardPosition
  readonly read: (position: ShardPosition, limits: ReadLimits) => Promise<ReadResult>
  readonly clock: Clock
  /** The first of them that aborts ends it, with its reason. */
  readonly endedBy: readonly AbortSignal[]
  readonly onEnd: () => void
  /** What one subscriber may get; `null`: all that it can take. */
  readonly bytes: TokenBucket | null
}

/**
 * A shard's records from a position on, pushed as they come: the next event is made when the last
 * one was taken, so a slow reader holds one event in memory and nobody up. Ends after five minutes
 * with a last event, or with the closed shard's end.
 */
export async function* pushRecords(
  options: PushOptions,
): AsyncGenerator<SubscriptionEvent, void, undefined> {
  const { stream, read, clock } = options
  const shard = stream.shard(options.position.shardId)
  const endsAt = clock.now() + LIFETIME_MS
  const ended = new AbortController()
  const doorbell = new Doorbell()
  const stopListening = listen(options, (reason) => {
    ended.abort(reason)
    doorbell.ring()
  })
  const unfollow = shard.follow(() => doorbell.ring())
  let heartbeatDue = true // the first event comes at once
  const heartbeats = everyHeartbeat(clock, ended.signal, () => {
    heartbeatDue = true
    doorbell.ring()
  })
  try {
    let { position } = options
    for (;;) {
      ended.signal.throwIfAborted()
      const { records, next, millisBehindLatest } = await read(position, EVENT_LIMITS)
      ended.signal.throwIfAborted()
      const isLast = next === null || clock.now() >= endsAt
      if (records.length > 0 || heartbeatDue || isLast) {
        heartbeatDue = false
        const continuation = next === null ? null : shard.numberBefore(next.index, clock.now())
        yield { records, millisBehindLatest, continuation }
      }
      if (isLast) return
      position = next
      if (options.bytes !== null && records.length > 0) {
        options.bytes.take(bytesOf(records), clock.now())
        const debtMs = options.bytes.debtMs(clock.now())
        // Ends early only with the subscription, which the next turn tells.
        if (debtMs > 0) await clock.sleep(debtMs, ended.signal).catch(() => undefined)
      }
      if (millisBehindLatest === 0) await doorbell.rung()
    }
  } finally {
    stopListening()
    unfollow()
    ended.abort()
    await heartbeats
    options.onEnd()
  }
}

async function everyHeartbeat(clock: Clock, signal: AbortSignal, beat: () => void): Promise<void> {
  while (!signal.aborted) {
    // Its only failure is the end.
    await clock.sleep(HEARTBEAT_MS, signal).then(beat, () => undefined)
  }
}

/** Not AbortSignal.any: some of these live as long as the service, and would keep what hangs on them. */
function listen({ endedBy }: PushOptions, onEnd: (reason: unknown) => void): () => void {
  const listening = endedBy.map((signal) => {
    const onAbort = () => onEnd(signal.reason)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    return () => signal.removeEventListener('abort', onAbort)
  })
  return () => {
    for (const stop of listening) stop()
  }
}

/** Remembers one ring while nobody waits. Lighter than a Bell: it rings for every append. */
class Doorbell {
  #rung = false
  #wake: (() => void) | null = null

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async rung(): Promise<void> {
    if (!this.#rung) await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#wake = null
    this.#rung = false
  }
}
