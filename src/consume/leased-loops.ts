import type { EpochMs } from '../domain/time.ts'
import type { Log } from '../observe/log.ts'
import { Bell } from '../platform/bell.ts'
import type { Clock } from '../platform/clock.ts'
import type { HeldLease, LeaseStore } from './lease-store.ts'

/** What a worker should be doing now. */
export type Wanted<Item> = {
  readonly items: ReadonlyMap<string, Item>
  /** Whether a key that is not wanted now still means something; else its rows are removed. */
  readonly keeps: (key: string) => boolean
}

export type LeasedLoopsOptions<Item> = {
  readonly application: string
  readonly leases: LeaseStore
  readonly clock: Clock
  readonly log: Log
  /** How often {@link LeasedLoopsOptions.want} is asked, besides on `sync()`. */
  readonly syncIntervalMs: number
  /** How long loops may finish what is in hand when the worker stops. */
  readonly drainMs: number
  readonly want: () => Promise<Wanted<Item>>
  /** Runs until stopped or finished; a failure is logged and the loop started again later. */
  readonly run: (item: Item, lease: HeldLease, ends: LoopEnds) => Promise<void>
}

export type LoopEnds = {
  /** Take nothing new; finish and checkpoint what is in hand. */
  readonly stopping: AbortSignal
  /** Leave at once: the lease is lost, the item is gone, or the drain took too long. */
  readonly signal: AbortSignal
}

const FIRST_RESTART_MS = 250
const LONGEST_RESTART_MS = 30_000

/**
 * A worker's loops: one per wanted item whose lease could be had, started and ended as the set
 * changes. Disposal lets every loop finish what it has in hand, then releases the leases.
 */
export class LeasedLoops<Item> implements AsyncDisposable {
  readonly #options: LeasedLoopsOptions<Item>
  readonly #stopping = new AbortController()
  readonly #bell = new Bell()
  readonly #running = new Map<string, RunningLoop>()
  readonly #restarts = new Map<string, { readonly failures: number; readonly at: EpochMs }>()
  readonly #supervising: Promise<void>

  constructor(options: LeasedLoopsOptions<Item>) {
    this.#options = options
    this.#supervising = this.#supervise()
  }

  /** Looks at the wanted set now. */
  sync(): void {
    this.#bell.ring()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, drainMs } = this.#options
    this.#stopping.abort()
    await this.#supervising
    const loops = [...this.#running.values()]
    const drained = new AbortController()
    const deadline = clock.sleep(drainMs, drained.signal).then(
      () => loops.forEach(({ cut }) => cut.abort()),
      () => undefined, // drained in time
    )
    await Promise.all(loops.map(({ done }) => done))
    drained.abort()
    await deadline
  }

  async #supervise(): Promise<void> {
    const { clock, log, syncIntervalMs, application } = this.#options
    const signal = this.#stopping.signal
    let isFirst = true
    while (!signal.aborted) {
      try {
        const wanted = await this.#options.want()
        const ended = await this.#endUnwanted(wanted)
        if (isFirst || ended > 0) await this.#forgetGone(wanted)
        isFirst = false
        await this.#startMissing(wanted)
      } catch (error) {
        log.warn({ err: error, application }, 'consumer could not look for work')
      }
      try {
        await this.#bell.wait(syncIntervalMs, clock, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  /** @returns how many loops were ended */
  async #endUnwanted({ items }: Wanted<Item>): Promise<number> {
    const unwanted = [...this.#running].filter(([key]) => !items.has(key))
    for (const [, { cut }] of unwanted) cut.abort()
    await Promise.all(unwanted.map(([, { done }]) => done))
    return unwanted.length
  }

  async #startMissing({ items }: Wanted<Item>): Promise<void> {
    const { leases, application, clock } = this.#options
    for (const [key, item] of items) {
      if (this.#stopping.signal.aborted) return
      if (this.#running.has(key)) continue
      if ((this.#restarts.get(key)?.at ?? 0) > clock.now()) continue
      const lease = await leases.take(application, key)
      if (lease === null) continue
      const cut = new AbortController()
      this.#running.set(key, { cut, done: this.#runLoop(item, lease, cut.signal) })
    }
  }

  async #runLoop(item: Item, lease: HeldLease, cut: AbortSignal): Promise<void> {
    const { application, run, log, clock } = this.#options
    const signal = AbortSignal.any([cut, lease.lost])
    try {
      await run(item, lease, { stopping: this.#stopping.signal, signal })
      this.#restarts.delete(lease.key)
    } catch (error) {
      const stopped = this.#stopping.signal.aborted && error === this.#stopping.signal.reason
      if (!signal.aborted && !stopped) {
        const failures = (this.#restarts.get(lease.key)?.failures ?? 0) + 1
        const delayMs = Math.min(FIRST_RESTART_MS * 2 ** (failures - 1), LONGEST_RESTART_MS)
        this.#restarts.set(lease.key, { failures, at: (clock.now() + delayMs) as EpochMs })
        log.warn({ err: error, application, key: lease.key, delayMs }, 'consumer loop failed')
      }
    }
    try {
      await lease[Symbol.asyncDispose]()
    } catch (error) {
      log.warn({ err: error, application, key: lease.key }, 'lease not released')
    }
    this.#running.delete(lease.key)
    this.#bell.ring() // its end may be another's beginning: a shard's children
  }

  async #forgetGone({ items, keeps }: Wanted<Item>): Promise<void> {
    const { leases, application } = this.#options
    for (const { key } of await leases.list(application)) {
      if (!items.has(key) && !keeps(key)) await leases.forget(application, key)
    }
    for (const key of this.#restarts.keys()) if (!items.has(key)) this.#restarts.delete(key)
  }
}

type RunningLoop = { readonly cut: AbortController; readonly done: Promise<void> }
