import { ServiceError } from '../domain/errors.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Events } from '../observe/events.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaBatch, MetaKey, MetaStore } from '../platform/meta-store.ts'
import {
  deadKey,
  hookKey,
  readDeliveries,
  waitingKey,
  type DeliveryRow,
  type HookRow,
  type PlacedDelivery,
} from './delivery-rows.ts'
import type { Hook } from './hook.ts'
import type { Firing } from './plan-firing.ts'

/** Deliveries kept per hook; docs/ref/webhooks.md states what happens beyond. */
export type QueueLimits = { readonly maxWaiting: number; readonly maxDead: number }

export type QueueOptions = {
  readonly meta: MetaStore
  readonly clock: Clock
  readonly events: Events
  readonly hook: Hook
  readonly limits: QueueLimits
}

export type HookStatus = {
  readonly name: string
  readonly waiting: number
  /** Since the hook was first seen. */
  readonly delivered: number
  /** Given up and kept: they can be queued again. */
  readonly failed: number
  readonly disabled: boolean
  /** ISO 8601; when the oldest waiting delivery came up. */
  readonly oldestWaiting: string | null
}

export type DeadDelivery = DeliveryRow & { readonly diedAt: EpochMs }

/** Rows moved in one commit by wake and requeue. */
const PAGE = 200

/**
 * One hook's durable deliveries. The rows are the truth; beside them are kept only the totals and
 * when each waiting delivery came up.
 *
 * Bounds: a delivery that comes up while `maxWaiting` wait is dead at once (`queue-full`); beyond
 * `maxDead` the oldest dead one is removed.
 */
export class HookQueue {
  readonly hook: Hook
  readonly #meta: MetaStore
  readonly #clock: Clock
  readonly #events: Events
  readonly #limits: QueueLimits
  readonly #createdAt = new Map<string, EpochMs>()
  #dead = 0
  #row: HookRow

  static async open(options: QueueOptions): Promise<HookQueue> {
    const queue = new HookQueue(options)
    const { name } = options.hook
    for await (const { id, createdAt } of readDeliveries(options.meta, waitingKey(name))) {
      queue.#createdAt.set(id, createdAt)
    }
    for await (const _ of readDeliveries(options.meta, deadKey(name))) queue.#dead += 1
    return queue
  }

  private constructor({ meta, clock, events, hook, limits }: QueueOptions) {
    this.hook = hook
    this.#meta = meta
    this.#clock = clock
    this.#events = events
    this.#limits = limits
    const row = meta.get<HookRow>(hookKey(hook.name)) ?? { delivered: 0, disabled: null }
    // Another URL is another receiver: the old one's 410 says nothing about it.
    this.#row = row.disabled?.url === hook.url.href ? row : { ...row, disabled: null }
  }

  get disabled(): boolean {
    return this.#row.disabled !== null
  }

  get waiting(): number {
    return this.#createdAt.size
  }

  get status(): HookStatus {
    let oldest: EpochMs | null = null
    for (const at of this.#createdAt.values()) if (oldest === null || at < oldest) oldest = at
    return {
      name: this.hook.name,
      waiting: this.waiting,
      delivered: this.#row.delivered,
      failed: this.#dead,
      disabled: this.disabled,
      oldestWaiting: oldest === null ? null : new Date(oldest).toISOString(),
    }
  }

  /** Rows for new deliveries; to be committed by the caller, who then calls the returned function. */
  planAdd(firings: readonly Firing[]): { puts: MetaBatch['puts']; added: () => Promise<void> } {
    const now = this.#clock.now()
    const { name } = this.hook
    const room = Math.max(0, this.#limits.maxWaiting - this.waiting)
    const rows = firings.map(({ deliveryId, payload }, index): [MetaKey, DeliveryRow] => {
      const fits = index < room
      const row = { id: deliveryId, payload, createdAt: now, attempts: 0 }
      return fits
        ? [waitingKey(name, now, deliveryId), { ...row, failure: null }]
        : [deadKey(name, now, deliveryId), { ...row, failure: 'queue-full' }]
    })
    return {
      puts: rows.map(([key, value]) => ({ key, value })),
      added: async () => {
        for (const [, row] of rows) {
          if (row.failure === null) this.#createdAt.set(row.id, now)
          else this.#countDead(row, row.failure)
        }
        await this.#trimDead()
      },
    }
  }

  /** Waiting deliveries, the one due first before the others. */
  async first(limit: number): Promise<readonly PlacedDelivery[]> {
    const rows: PlacedDelivery[] = []
    for await (const row of readDeliveries(this.#meta, waitingKey(this.hook.name), limit)) {
      rows.push(row)
    }
    return rows
  }

  /** Whether a delivery that was read before still waits at its place. */
  has(delivery: PlacedDelivery): boolean {
    return this.#meta.get(delivery.key) !== null
  }

  async delivered(delivery: PlacedDelivery): Promise<void> {
    this.#row = { ...this.#row, delivered: this.#row.delivered + 1 }
    await this.#meta.commit({
      deletes: [delivery.key],
      puts: [{ key: hookKey(this.hook.name), value: this.#row }],
    })
    this.#createdAt.delete(delivery.id)
    const attempts = delivery.attempts + 1
    this.#events.hookDelivered({ hook: this.hook.name, deliveryId: delivery.id, attempts })
  }

  async retryLater(delivery: PlacedDelivery, reason: string, inMs: number): Promise<void> {
    const attempts = delivery.attempts + 1
    const row = { ...toRow(delivery), attempts, failure: reason }
    const dueAt = this.#clock.now() + Math.round(inMs)
    await this.#meta.commit({
      deletes: [delivery.key],
      puts: [{ key: waitingKey(this.hook.name, dueAt, row.id), value: row }],
    })
    this.#events.hookFailed({
      hook: this.hook.name,
      deliveryId: row.id,
      attempts,
      reason,
      retryInMs: inMs,
    })
  }

  async giveUp(delivery: PlacedDelivery, reason: string): Promise<void> {
    const attempts = delivery.attempts + 1
    const row = { ...toRow(delivery), attempts, failure: reason }
    await this.#meta.commit({
      deletes: [delivery.key],
      puts: [{ key: deadKey(this.hook.name, this.#clock.now(), row.id), value: row }],
    })
    this.#createdAt.delete(row.id)
    this.#events.hookFailed({
      hook: this.hook.name,
      deliveryId: row.id,
      attempts,
      reason,
      retryInMs: null,
    })
    this.#countDead(row, reason)
    await this.#trimDead()
  }

  /** Ends the hook until {@link enable} or another URL; its deliveries stay. */
  async disable(reason: string): Promise<void> {
    if (this.disabled) return
    const { url, name } = this.hook
    this.#row = { ...this.#row, disabled: { at: this.#clock.now(), reason, url: url.href } }
    await this.#meta.commit({ puts: [{ key: hookKey(name), value: this.#row }] })
    this.#events.hookDisabled({ hook: name, reason })
  }

  async enable(): Promise<void> {
    this.#row = { ...this.#row, disabled: null }
    await this.#meta.commit({ puts: [{ key: hookKey(this.hook.name), value: this.#row }] })
  }

  /** Makes every waiting delivery due now, but for those in hand. */
  async makeDue(inHand: ReadonlySet<string>): Promise<void> {
    const now = this.#clock.now()
    const { name } = this.hook
    for (;;) {
      const later: PlacedDelivery[] = []
      for await (const { key, value } of this.#meta.entries<DeliveryRow>({
        prefix: waitingKey(name),
        from: [now + 1],
        limit: PAGE + inHand.size,
      })) {
        if (!inHand.has(value.id)) later.push({ ...value, key, at: now })
      }
      if (later.length === 0) return
      await this.#meta.commit({
        // The condition leaves alone what was settled meanwhile; the next round sees the rest.
        conditions: later.map((delivery) => ({ key: delivery.key, equals: toRow(delivery) })),
        deletes: later.map(({ key }) => key),
        puts: later.map((delivery) => ({
          key: waitingKey(name, now, delivery.id),
          value: toRow(delivery),
        })),
      })
    }
  }

  async dead(limit: number): Promise<readonly DeadDelivery[]> {
    const found: DeadDelivery[] = []
    for await (const delivery of readDeliveries(this.#meta, deadKey(this.hook.name), limit)) {
      found.push({ ...toRow(delivery), diedAt: delivery.at })
    }
    return found
  }

  /**
   * Queues dead deliveries again, from the first attempt on.
   *
   * @param ids all when absent
   * @returns how many were queued; fewer than asked when the queue is full
   */
  async requeue(ids?: ReadonlySet<string>): Promise<number> {
    const { name } = this.hook
    const found: PlacedDelivery[] = []
    for await (const delivery of readDeliveries(this.#meta, deadKey(name))) {
      if (found.length === Math.max(0, this.#limits.maxWaiting - this.waiting)) break
      if (ids === undefined || ids.has(delivery.id)) found.push(delivery)
    }
    const now = this.#clock.now()
    for (let start = 0; start < found.length; start += PAGE) {
      const page = found.slice(start, start + PAGE)
      await this.#meta.commit({
        deletes: page.map(({ key }) => key),
        puts: page.map((delivery) => ({
          key: waitingKey(name, now, delivery.id),
          value: { ...toRow(delivery), attempts: 0 } satisfies DeliveryRow,
        })),
      })
      for (const { id, createdAt } of page) this.#createdAt.set(id, createdAt)
      this.#dead -= page.length
    }
    return found.length
  }

  #countDead(row: DeliveryRow, reason: string): void {
    this.#dead += 1
    const { id: deliveryId, attempts } = row
    this.#events.hookDeadLettered({ hook: this.hook.name, deliveryId, attempts, reason })
  }

  async #trimDead(): Promise<void> {
    const excess = this.#dead - this.#limits.maxDead
    if (excess <= 0) return
    const oldest: MetaKey[] = []
    for await (const { key } of readDeliveries(this.#meta, deadKey(this.hook.name), excess)) {
      oldest.push(key)
    }
    await this.#meta.commit({ deletes: oldest })
    this.#dead -= oldest.length
  }
}

function toRow({ id, payload, createdAt, attempts, failure }: PlacedDelivery): DeliveryRow {
  return { id, payload, createdAt: epochMs(createdAt), attempts, failure }
}

export function hookNotFound(name: string): ServiceError {
  return new ServiceError('not-found', 'HookNotFound', `There is no hook named ${name}.`)
}
