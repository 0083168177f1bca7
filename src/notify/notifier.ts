import { startDataConsumer, type LeaseStore, type RecordBatch } from '../consume/index.ts'
import type { DataStreams } from '../datastream/index.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import { firedKey, type FiredRow } from './delivery-rows.ts'
import { parseHook, type HookConfig } from './hook.ts'
import {
  HookQueue,
  hookNotFound,
  type DeadDelivery,
  type HookStatus,
  type QueueLimits,
} from './hook-queue.ts'
import { HookSender } from './hook-sender.ts'
import { planFiring, type Firing } from './plan-firing.ts'
import { STANDARD_RETRY_DELAYS_MS } from './plan-retry.ts'
import { readDetection, type DetectionRecordInput } from './read-detection.ts'
import { createSendWebhook, type SendWebhook } from './send-webhook.ts'

export type NotifierOptions = {
  readonly dataStreams: DataStreams
  readonly resultsStream: string
  readonly leases: LeaseStore
  readonly meta: MetaStore
  readonly hooks: readonly HookConfig[]
  /** Where clients reach the service; asked when a delivery comes up. */
  readonly publicUrl: () => string
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
  /** Pauses after the first, second, ... failed attempt; the standard's when absent. */
  readonly retryDelaysMs?: readonly number[]
  /** Requests under way per hook. */
  readonly concurrency?: number
  readonly limits?: QueueLimits
  readonly drainMs?: number
  readonly send?: SendWebhook
  readonly random?: () => number
}

/** Fires webhooks for detections; see docs/design/consume-and-notify.md. */
export interface Notifier extends AsyncDisposable {
  status(): readonly HookStatus[]
  /**
   * Tries everything that waits for the hook now: its receiver is up again.
   *
   * @throws ServiceError `not-found`/`HookNotFound`, as do the others that take a name
   */
  wake(hookName: string): Promise<void>
  /** Lets a hook work again that its receiver had ended with 410. */
  enable(hookName: string): Promise<void>
  /** Deliveries given up, oldest first. */
  deadLetters(hookName: string, limit: number): Promise<readonly DeadDelivery[]>
  /** Queues dead letters again (all, or these); returns how many. */
  requeue(hookName: string, deliveryIds?: readonly string[]): Promise<number>
  /** Sets the gauges that are read rather than counted. */
  refreshGauges(): void
}

export const NOTIFIER_APPLICATION = 'notify'
const DEFAULT_LIMITS: QueueLimits = { maxWaiting: 10_000, maxDead: 10_000 }

/**
 * Starts the consumer of the results stream and one sender per hook. A new installation begins with
 * the records that come from now on; a restart begins at the checkpoint.
 *
 * @throws ServiceError `invalid-argument`/`InvalidHook`
 */
export async function startNotifier(options: NotifierOptions): Promise<Notifier> {
  const { meta, clock, events, metrics, log } = options
  const limits = options.limits ?? DEFAULT_LIMITS
  const send = options.send ?? createSendWebhook(clock)
  const queues = await Promise.all(
    options.hooks
      .map(parseHook)
      .map((hook) => HookQueue.open({ meta, clock, events, hook, limits })),
  )
  const senders = queues.map(
    (queue) =>
      new HookSender({
        queue,
        send,
        clock,
        log,
        retryDelaysMs: options.retryDelaysMs ?? STANDARD_RETRY_DELAYS_MS,
        concurrency: options.concurrency ?? 4,
        drainMs: options.drainMs ?? 5_000,
        random: options.random ?? Math.random,
      }),
  )
  const firing = createFiring({ ...options, senders })
  const consumer = startDataConsumer({
    application: NOTIFIER_APPLICATION,
    dataStreams: options.dataStreams,
    stream: options.resultsStream,
    leases: options.leases,
    start: 'newest',
    handle: firing,
    clock,
    events,
    metrics,
    log,
  })
  const senderOf = (name: string): HookSender => {
    const sender = senders.find(({ queue }) => queue.hook.name === name)
    if (sender === undefined) throw hookNotFound(name)
    return sender
  }

  return {
    status: () => queues.map((queue) => queue.status),
    wake: async (name) => senderOf(name).wake(),
    enable: async (name) => {
      const sender = senderOf(name)
      await sender.queue.enable()
      sender.ring()
    },
    deadLetters: async (name, limit) => senderOf(name).queue.dead(limit),
    requeue: async (name, ids) => {
      const sender = senderOf(name)
      const count = await sender.queue.requeue(ids === undefined ? undefined : new Set(ids))
      sender.ring()
      return count
    },
    refreshGauges() {
      for (const { name: hook, waiting, oldestWaiting } of queues.map((queue) => queue.status)) {
        const ageMs = oldestWaiting === null ? 0 : clock.now() - Date.parse(oldestWaiting)
        metrics.notifyWaiting.set({ hook }, waiting)
        metrics.notifyOldestWaitingMs.set({ hook }, ageMs)
      }
    },
    async [Symbol.asyncDispose]() {
      await consumer[Symbol.asyncDispose]() // nothing new comes up
      await Promise.all(senders.map((sender) => sender[Symbol.asyncDispose]()))
    },
  }
}

/**
 * Turns a batch of records into delivery rows. The order is the contract:
 *
 *   1. deliveries and the cooldown rows that they cause: one commit
 *   2. the senders are told
 *   3. the consumer saves its checkpoint (by returning)
 *
 * A crash between 1 and 3 brings the batch again; the cooldown rows of 1 then say that these frames
 * have fired. One batch at a time, whatever the number of shards.
 */
function createFiring(
  options: Pick<NotifierOptions, 'meta' | 'clock' | 'events' | 'publicUrl'> & {
    readonly senders: readonly HookSender[]
  },
): (batch: RecordBatch) => Promise<void> {
  const { meta, clock, events, senders } = options
  let tail: Promise<void> = Promise.resolve()

  const fire = async ({ records }: RecordBatch) => {
    const detections = records.map(({ data }) => readDetection(data))
    const read = detections.filter((detection) => detection !== null)
    const ignored = detections.length - read.length
    if (ignored > 0) events.recordsIgnored({ count: ignored, reason: 'not-a-detection' })

    const context = { now: clock.now(), publicUrl: options.publicUrl() }
    const plans = senders
      .filter(({ queue }) => !queue.disabled)
      .map((sender) => {
        const fired = createFiredView(meta, sender.queue.hook.name)
        const firings = read.flatMap((record) => {
          const planned = planFiring(record, sender.queue.hook, fired.of(record), context)
          fired.note(record, planned)
          return planned
        })
        return { sender, plan: sender.queue.planAdd(firings), firedPuts: fired.puts() }
      })
    const puts = plans.flatMap(({ plan, firedPuts }) => [...(plan.puts ?? []), ...firedPuts])
    if (puts.length === 0) return
    await meta.commit({ puts })
    await Promise.all(plans.map(({ plan }) => plan.added()))
    for (const { sender } of plans) sender.ring()
  }

  return (batch) => {
    const turn = tail.then(() => fire(batch))
    tail = turn.catch(() => undefined) // its caller sees the failure; the next still runs
    return turn
  }
}

/** The cooldown rows as they will be once the batch is committed. */
function createFiredView(meta: MetaStore, hook: string) {
  const changed = new Map<string, { key: ReturnType<typeof firedKey>; value: FiredRow }>()
  const idOf = (streamName: string, label: string) => JSON.stringify([streamName, label])
  return {
    of:
      ({ streamName }: DetectionRecordInput) =>
      (label: string): FiredRow | null =>
        changed.get(idOf(streamName, label))?.value ??
        meta.get<FiredRow>(firedKey(hook, streamName, label)),
    note({ streamName }: DetectionRecordInput, firings: readonly Firing[]) {
      for (const { label, fired } of firings) {
        const key = firedKey(hook, streamName, label)
        changed.set(idOf(streamName, label), { key, value: fired })
      }
    },
    puts: () => [...changed.values()],
  }
}
