import type { Archive } from '../archive/index.ts'
import { startVideoConsumer, type LeaseStore, type RetryPolicy } from '../consume/index.ts'
import type { StreamId } from '../domain/stream.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { ImageGeneration, StreamInfo, StreamRegistry } from '../registry/index.ts'
import { createImageDelivery } from './deliver-images.ts'
import { createNotificationDelivery } from './deliver-notifications.ts'
import type { DeliveryTerms } from './delivery-terms.ts'

/**
 * Makes images of the frames that were shown at instants, by the settings' clock.
 *
 * @param instants rising, at least one
 * @returns for the first one or more of them, in order; `null` where nothing is shown
 * @throws ServiceError `unavailable`
 */
export type MakeImages = (
  streamId: StreamId,
  instants: readonly number[],
  settings: ImageGeneration,
  signal: AbortSignal,
) => Promise<readonly (MadeImage | null)[]>

export type MadeImage = {
  readonly bytes: Uint8Array
  /** Of its frame, by the producer's clock. */
  readonly frameTimestamp: number
}

export type DeliveriesOptions = {
  readonly archive: Archive
  readonly leases: LeaseStore
  readonly meta: MetaStore
  readonly registry: StreamRegistry
  readonly makeImages: MakeImages
  readonly streamArnOf: (stream: StreamInfo) => string
  readonly accountId: string
  readonly terms: DeliveryTerms
  /** Default: for ever, from one second apart to five minutes. */
  readonly retry?: RetryPolicy
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}

/** What follows in a stream would meet the same: order is kept, and retention is the bound. */
const RETRY: RetryPolicy = { retries: null, firstDelayMs: 1_000, maxDelayMs: 300_000 }

/**
 * Delivers images and notifications of fragments as streams are configured: two consumers of the
 * archive, each with checkpoints of its own, so that a restart or a dead receiver loses nothing, and
 * one stream's receiver holds up no other's.
 */
export function startDeliveries(options: DeliveriesOptions): AsyncDisposable {
  const { archive, leases, registry, clock, events, metrics, log } = options
  const retry = options.retry ?? RETRY
  const start = (
    application: 'images' | 'notifications',
    isWanted: (stream: StreamInfo) => boolean,
    handle: ReturnType<typeof createImageDelivery>,
  ) =>
    startVideoConsumer({
      ...{ application, archive, leases, clock, events, metrics, log, handle },
      streams: () => registry.list().filter(isWanted),
      start: 'newest',
      policy: { maxLagMs: null, retry },
    })
  const consumers = [
    start(
      'images',
      ({ imageGeneration }) => imageGeneration?.enabled === true,
      createImageDelivery(options),
    ),
    start(
      'notifications',
      ({ notification }) => notification?.enabled === true,
      createNotificationDelivery(options),
    ),
  ]
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all(consumers.map((consumer) => consumer[Symbol.asyncDispose]()))
    },
  }
}
