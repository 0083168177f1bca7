import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Log } from '../observe/log.ts'
import { Bell } from '../platform/bell.ts'
import type { Clock } from '../platform/clock.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import type { PlacedDelivery } from './delivery-rows.ts'
import type { HookQueue } from './hook-queue.ts'
import { planRetry, type AttemptOutcome } from './plan-retry.ts'
import type { SendWebhook } from './send-webhook.ts'

export type SenderOptions = {
  readonly queue: HookQueue
  readonly send: SendWebhook
  readonly clock: Clock
  readonly log: Log
  readonly retryDelaysMs: readonly number[]
  readonly concurrency: number
  /** How long attempts in hand may finish when the service stops. */
  readonly drainMs: number
  /** 0 <= value < 1, for the jitter. */
  readonly random: () => number
}

/** After the MetaStore refused a result: the attempt will be repeated, but not at once. */
const STORE_FAILURE_PAUSE_MS = 5_000

/**
 * Makes a hook's deliveries as they fall due, a few at a time, in no promised order. A delivery in
 * hand keeps its row until its outcome is on disk, so a crash repeats it under the same id.
 */
export class HookSender implements AsyncDisposable {
  readonly #options: SenderOptions
  readonly #bell = new Bell()
  readonly #stopping = new AbortController()
  readonly #cut = new AbortController()
  readonly #inHand = new Map<string, Promise<void>>()
  #pausedUntil: EpochMs = epochMs(0)
  #wake: Deferred<void> | null = null
  readonly #working: Promise<void>

  constructor(options: SenderOptions) {
    this.#options = options
    this.#working = this.#work()
  }

  get queue(): HookQueue {
    return this.#options.queue
  }

  /** There may be new work. */
  ring(): void {
    this.#bell.ring()
  }

  /** Tries everything that waits now, whatever the schedule says; resolves when that is begun. */
  wake(): Promise<void> {
    this.#wake ??= createDeferred<void>()
    const { promise } = this.#wake
    if (this.#stopping.signal.aborted) this.#endWake()
    else this.#bell.ring()
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, drainMs } = this.#options
    this.#stopping.abort()
    await this.#working
    this.#endWake()
    const drained = new AbortController()
    const deadline = clock.sleep(drainMs, drained.signal).then(
      () => this.#cut.abort(),
      () => undefined, // drained in time
    )
    await Promise.all(this.#inHand.values())
    drained.abort()
    await deadline
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#options
    const signal = this.#stopping.signal
    while (!signal.aborted) {
      let waitMs = STORE_FAILURE_PAUSE_MS
      try {
        waitMs = await this.#startDue()
      } catch (error) {
        log.warn({ err: error, hook: this.queue.hook.name }, 'deliveries could not be read')
      }
      try {
        await this.#bell.wait(waitMs, clock, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  /** @returns for how long there is nothing to start, unless something happens */
  async #startDue(): Promise<number> {
    const { clock, concurrency } = this.#options
    if (this.#wake !== null) {
      // Here no attempt can begin meanwhile, so no row is moved from under one.
      await this.queue.makeDue(new Set(this.#inHand.keys()))
      this.#pausedUntil = epochMs(0)
      this.#endWake()
    }
    const now = clock.now()
    if (this.queue.disabled || this.#inHand.size >= concurrency) return Infinity
    if (this.#pausedUntil > now) return this.#pausedUntil - now

    // Deliveries in hand still have their rows, at the front.
    const first = await this.queue.first(concurrency + 1)
    for (const delivery of first) {
      // Settled while the rows were read: what was read is no longer so.
      if (this.#inHand.has(delivery.id) || !this.queue.has(delivery)) continue
      if (delivery.at > now) return delivery.at - now
      if (this.#inHand.size >= concurrency) return Infinity
      this.#inHand.set(delivery.id, this.#attempt(delivery))
    }
    return Infinity
  }

  /** Never rejects. */
  async #attempt(delivery: PlacedDelivery): Promise<void> {
    const { send, log } = this.#options
    const { hook } = this.queue
    try {
      const message = { deliveryId: delivery.id, body: JSON.stringify(delivery.payload) }
      await this.#settle(delivery, await send(hook, message, this.#cut.signal))
    } catch (error) {
      if (!this.#cut.signal.aborted) {
        log.warn({ err: error, hook: hook.name }, 'delivery outcome not kept')
        this.#pause(STORE_FAILURE_PAUSE_MS)
      }
    } finally {
      this.#inHand.delete(delivery.id)
      this.#bell.ring()
    }
  }

  async #settle(delivery: PlacedDelivery, outcome: AttemptOutcome): Promise<void> {
    const { queue, retryDelaysMs, random } = this.#options
    switch (outcome.kind) {
      case 'delivered':
        return queue.delivered(delivery)
      case 'gone':
        await queue.disable('status-410')
        return queue.retryLater(delivery, 'status-410', 0) // when it is enabled again
      case 'failed': {
        const plan = planRetry(outcome, delivery.attempts + 1, retryDelaysMs, random())
        if (plan.kind === 'give-up') return queue.giveUp(delivery, outcome.reason)
        this.#pause(plan.pauseHookMs)
        return queue.retryLater(delivery, outcome.reason, plan.inMs)
      }
    }
  }

  #endWake(): void {
    this.#wake?.resolve()
    this.#wake = null
  }

  #pause(ms: number): void {
    const until = this.#options.clock.now() + ms
    if (until > this.#pausedUntil) this.#pausedUntil = epochMs(until)
  }
}
