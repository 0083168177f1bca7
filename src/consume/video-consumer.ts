import type { Archive } from '../archive/index.ts'
import type { Fragment } from '../domain/fragment.ts'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { consumeVideoStream, type VideoPolicy } from './consume-video-stream.ts'
import type { LeaseStore } from './lease-store.ts'
import { LeasedLoops } from './leased-loops.ts'

export type VideoStreamName = { readonly streamId: StreamId; readonly name: string }

export type VideoConsumerOptions = {
  /** Names the lease and checkpoint rows: two applications read independently. */
  readonly application: string
  readonly archive: Archive
  readonly leases: LeaseStore
  /** The streams to consume now; asked every second. What is not listed any more is forgotten. */
  readonly streams: () => readonly VideoStreamName[]
  readonly start: 'newest' | 'oldest'
  readonly policy?: Partial<VideoPolicy>
  readonly handle: (fragment: Fragment, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  readonly syncIntervalMs?: number
  readonly drainMs?: number
}

/** A running worker. Disposal finishes the fragments in hand, saves their checkpoints, releases. */
export type Consumer = AsyncDisposable & {
  /** Looks at the set of streams or shards now instead of within a second. */
  sync(): void
}

export const DEFAULT_VIDEO_POLICY: VideoPolicy = {
  maxLagMs: null,
  retry: { retries: 3, firstDelayMs: 200, maxDelayMs: 5_000 },
}

/** Starts a worker that consumes every listed video stream, one loop each. */
export function startVideoConsumer(options: VideoConsumerOptions): Consumer {
  const { application, archive, leases, clock, events, metrics, log } = options
  const policy = { ...DEFAULT_VIDEO_POLICY, ...options.policy }
  return new LeasedLoops<VideoStreamName>({
    application,
    leases,
    clock,
    log,
    syncIntervalMs: options.syncIntervalMs ?? 1_000,
    drainMs: options.drainMs ?? 10_000,
    want: async () => ({
      items: new Map(options.streams().map((stream) => [stream.streamId, stream])),
      keeps: () => false,
    }),
    run: ({ streamId, name: stream }, lease, ends) =>
      consumeVideoStream({
        archive,
        streamId,
        lease,
        start: options.start,
        policy,
        handle: options.handle,
        clock,
        onSkipped: (skipped) => events.consumerSkipped({ application, stream, ...skipped }),
        onRetry: (failure) => events.consumerFailed({ application, stream, ...failure }),
        onHandled: ({ lagMs }) => {
          metrics.consumeHandled.inc({ application, stream })
          metrics.consumeLagMs.set({ application, stream }, lagMs)
        },
        ...ends,
      }),
  })
}
