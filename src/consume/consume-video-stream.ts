import type { Archive } from '../archive/index.ts'
import type { Fragment, FragmentNumber } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import { handleWithRetries, type RetryPolicy, type SkipReason } from './handle-with-retries.ts'
import type { HeldLease } from './lease-store.ts'

/** The last fragment that a consumer of a video stream has finished. */
export type VideoCheckpoint = {
  readonly fragmentNumber: FragmentNumber
  readonly producerTimestamp: EpochMs
  readonly serverTimestamp: EpochMs
  /** Tells how many fragments the retention took before they were read. */
  readonly sequence: number
}

export type VideoPolicy = {
  /**
   * A fragment that finished arriving longer ago than this makes the consumer go on with the
   * newest one; `null`: everything is handled, however late.
   */
  readonly maxLagMs: number | null
  readonly retry: RetryPolicy
}

export type SkippedFragments = {
  readonly count: number
  /** `lag`: by policy. `expired`: gone before they were read. Else a fragment that was given up. */
  readonly reason: 'lag' | SkipReason
  readonly error?: unknown
}

export type VideoStreamToConsume = {
  readonly archive: Archive
  readonly streamId: StreamId
  readonly lease: HeldLease
  /** Where to begin without a checkpoint. `newest` is the newest fragment itself. */
  readonly start: 'newest' | 'oldest'
  readonly policy: VideoPolicy
  /** Called again for the same fragment after a failure or a crash: must be idempotent. */
  readonly handle: (fragment: Fragment, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly onSkipped: (skipped: SkippedFragments) => void
  readonly onRetry: (failure: { attempt: number; retryInMs: number; error: unknown }) => void
  readonly onHandled: (progress: { fragment: Fragment; lagMs: number }) => void
  /** Ends the loop after the fragment in hand. */
  readonly stopping: AbortSignal
  /** Ends the handler too. */
  readonly signal: AbortSignal
}

const READ_AHEAD = 8

/**
 * Feeds a stream's persisted fragments to `handle` in order, at least once, from the checkpoint on,
 * saving it after each. Nothing is passed over without `onSkipped`. Returns when stopped.
 *
 * @throws the reason of `signal`, or of `stopping` when the handler was failing then; ServiceError
 *   `conflict`/`LeaseLost`, whatever the archive throws
 */
export async function consumeVideoStream(options: VideoStreamToConsume): Promise<void> {
  const { archive, streamId, lease, clock, policy, stopping, signal, onSkipped } = options
  const idle = AbortSignal.any([stopping, signal])
  let last = lease.readCheckpoint<VideoCheckpoint>()
  let batch =
    last === null && options.start === 'newest'
      ? await archive.newest(streamId, 1)
      : await readAfter(options, last)

  while (!stopping.aborted) {
    signal.throwIfAborted()
    const [fragment, ...rest] = batch
    if (fragment === undefined) {
      await waitAfter(options, last, idle)
      if (!stopping.aborted) batch = await readAfter(options, last)
      continue
    }
    const missed = last === null ? 0 : fragment.sequence - last.sequence - 1
    if (missed > 0) onSkipped({ count: missed, reason: 'expired' })
    const ahead = await findAhead(options, fragment)
    if (ahead !== null) onSkipped({ count: ahead.sequence - fragment.sequence, reason: 'lag' })
    const next = ahead ?? fragment

    const givenUp = await handleWithRetries(() => options.handle(next, signal), {
      policy: policy.retry,
      clock,
      stopping,
      signal,
      onRetry: options.onRetry,
    })
    if (givenUp !== null) onSkipped({ count: 1, ...givenUp })
    last = toCheckpoint(next)
    await lease.saveCheckpoint(last)
    if (givenUp === null) options.onHandled({ fragment: next, lagMs: toLagMs(next, clock.now()) })
    batch = ahead === null ? rest : []
  }
}

function readAfter(
  { archive, streamId }: VideoStreamToConsume,
  last: VideoCheckpoint | null,
): Promise<readonly Fragment[]> {
  return archive.after(streamId, last?.fragmentNumber ?? null, READ_AHEAD)
}

/** Resolves when there is a fragment, or when stopping. */
async function waitAfter(
  { archive, streamId, stopping, signal }: VideoStreamToConsume,
  last: VideoCheckpoint | null,
  idle: AbortSignal,
): Promise<void> {
  try {
    await archive.waitAfter(streamId, last?.fragmentNumber ?? null, idle)
  } catch (error) {
    signal.throwIfAborted()
    if (!stopping.aborted) throw error
  }
}

/** The newest fragment when this one is too late and not the newest itself. */
async function findAhead(
  { archive, streamId, policy, clock }: VideoStreamToConsume,
  fragment: Fragment,
): Promise<Fragment | null> {
  if (policy.maxLagMs === null || toLagMs(fragment, clock.now()) <= policy.maxLagMs) return null
  const [newest] = await archive.newest(streamId, 1)
  if (newest === undefined || newest.fragmentNumber <= fragment.fragmentNumber) return null
  return newest
}

/** Since its last byte arrived. */
function toLagMs(fragment: Fragment, now: EpochMs): number {
  return now - (fragment.serverTimestamp + fragment.arrivalSpanMs)
}

function toCheckpoint(fragment: Fragment): VideoCheckpoint {
  const { fragmentNumber, producerTimestamp, serverTimestamp, sequence } = fragment
  return { fragmentNumber, producerTimestamp, serverTimestamp, sequence }
}
