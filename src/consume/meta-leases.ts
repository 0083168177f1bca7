import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Log } from '../observe/log.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaBatch, MetaKey, MetaStore } from '../platform/meta-store.ts'
import type {
  CheckpointSeed,
  HeldLease,
  LeaseOwner,
  LeaseState,
  LeaseStore,
} from './lease-store.ts'

export type MetaLeasesOptions = {
  readonly meta: MetaStore
  readonly clock: Clock
  readonly log: Log
  /** Names this machine among those that share the MetaStore; one process of it runs at a time. */
  readonly node: string
  /** How long a holder may be silent; renewed every third of it. Default 10 s. */
  readonly durationMs?: number
}

/**
 * Opens leases kept in the MetaStore. The node's instance number is raised first: a lease whose
 * owner is an earlier instance of the same node belongs to a process that has ended (it could not
 * have let go of the MetaStore otherwise), so a restart takes it at once and does not wait for it
 * to expire.
 */
export async function openMetaLeases(options: MetaLeasesOptions): Promise<LeaseStore> {
  const key = ['consume', 'node', options.node]
  for (;;) {
    const before = options.meta.get<number>(key)
    const instance = (before ?? 0) + 1
    const applied = await options.meta.commit({
      conditions: [{ key, equals: before }],
      puts: [{ key, value: instance }],
    })
    if (applied) return new MetaLeases(options, { node: options.node, instance })
  }
}

/** Changes only when the holder does; the fence of every checkpoint. `owner: null` when released. */
type FenceRow = { readonly owner: LeaseOwner | null; readonly epoch: number }
type CheckpointRow = {
  readonly position: unknown
  readonly savedAt: EpochMs
  readonly epoch: number
}

class MetaLeases implements LeaseStore {
  readonly #meta: MetaStore
  readonly #clock: Clock
  readonly #log: Log
  readonly #self: LeaseOwner
  readonly #durationMs: number
  readonly #held = new Set<MetaLease>()
  readonly #closing = new AbortController()
  readonly #renewing: Promise<void>

  constructor(options: MetaLeasesOptions, self: LeaseOwner) {
    this.#meta = options.meta
    this.#clock = options.clock
    this.#log = options.log
    this.#self = self
    this.#durationMs = options.durationMs ?? 10_000
    this.#renewing = this.#renewUntilClosed()
  }

  async take(application: string, key: string): Promise<HeldLease | null> {
    const fence = this.#meta.get<FenceRow>(fenceKey(application, key))
    const expiresAt = this.#meta.get<EpochMs>(expiryKey(application, key))
    const now = this.#clock.now()
    if (fence?.owner != null && !this.#isGone(fence.owner) && (expiresAt ?? 0) > now) return null

    const mine: FenceRow = { owner: this.#self, epoch: (fence?.epoch ?? 0) + 1 }
    const until = now + this.#durationMs
    const taken = await this.#meta.commit({
      conditions: [
        { key: fenceKey(application, key), equals: fence },
        { key: expiryKey(application, key), equals: expiresAt },
      ],
      puts: [
        { key: fenceKey(application, key), value: mine },
        { key: expiryKey(application, key), value: until },
      ],
    })
    if (!taken) return null
    const lease = new MetaLease({
      application,
      key,
      epoch: mine.epoch,
      expiresAt: until,
      readCheckpoint: <P>() => this.readCheckpoint<P>(application, key),
      commit: (batch) => this.#commitFenced(application, key, mine, batch),
      now: () => this.#clock.now(),
      onReleased: () => this.#held.delete(lease),
    })
    this.#held.add(lease)
    return lease
  }

  readCheckpoint<P>(application: string, key: string): P | null {
    const row = this.#meta.get<CheckpointRow>(checkpointKey(application, key))
    return row === null ? null : (row.position as P)
  }

  async seedCheckpoints(application: string, seeds: readonly CheckpointSeed[]): Promise<boolean> {
    const savedAt = this.#clock.now()
    return this.#meta.commit({
      conditions: seeds.map(({ key }) => ({
        key: checkpointKey(application, key),
        equals: null,
      })),
      puts: seeds.map(({ key, position }) => ({
        key: checkpointKey(application, key),
        value: { position, savedAt, epoch: 0 } satisfies CheckpointRow,
      })),
    })
  }

  async list(application: string): Promise<readonly LeaseState[]> {
    const states = new Map<string, LeaseState>()
    for await (const { key } of this.#meta.entries({ prefix: checkpointKey(application) })) {
      const name = String(key.at(-1))
      states.set(name, { key: name, owner: null, epoch: 0 })
    }
    for await (const { key, value } of this.#meta.entries<FenceRow>({
      prefix: fenceKey(application),
    })) {
      const name = String(key.at(-1))
      states.set(name, { key: name, owner: value.owner, epoch: value.epoch })
    }
    return [...states.values()]
  }

  async forget(application: string, key: string): Promise<void> {
    await this.#meta.commit({
      deletes: [
        fenceKey(application, key),
        expiryKey(application, key),
        checkpointKey(application, key),
      ],
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#renewing
    await Promise.all([...this.#held].map((lease) => lease[Symbol.asyncDispose]()))
  }

  #isGone(owner: LeaseOwner): boolean {
    return owner.node === this.#self.node && owner.instance < this.#self.instance
  }

  #commitFenced(application: string, key: string, mine: FenceRow, batch: MetaBatch) {
    return this.#meta.commit({
      ...batch,
      conditions: [{ key: fenceKey(application, key), equals: mine }],
    })
  }

  async #renewUntilClosed(): Promise<void> {
    const signal = this.#closing.signal
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(Math.floor(this.#durationMs / 3), signal)
      } catch {
        return // closing
      }
      await this.#renewAll()
    }
  }

  /** One commit for all leases, so that their number does not multiply the syncs. */
  async #renewAll(): Promise<void> {
    const leases = [...this.#held]
    if (leases.length === 0) return
    const until = this.#clock.now() + this.#durationMs
    try {
      const applied = await this.#meta.commit({
        conditions: leases.map(({ application, key, epoch }) => ({
          key: fenceKey(application, key),
          equals: { owner: this.#self, epoch } satisfies FenceRow,
        })),
        puts: leases.map(({ application, key }) => ({
          key: expiryKey(application, key),
          value: until,
        })),
      })
      // Not applied: one of them is gone, so each is asked alone.
      for (const lease of leases) {
        if (applied) lease.expiresAt = until
        else if (this.#held.has(lease)) await lease.renew(until)
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'leases not renewed')
      for (const lease of leases) lease.loseWhenExpired()
    }
  }
}

type MetaLeaseParts = {
  readonly application: string
  readonly key: string
  readonly epoch: number
  readonly expiresAt: number
  readonly readCheckpoint: <P>() => P | null
  /** Applies the batch only while the lease is still ours. */
  readonly commit: (batch: MetaBatch) => Promise<boolean>
  readonly now: () => EpochMs
  readonly onReleased: () => void
}

class MetaLease implements HeldLease {
  readonly application: string
  readonly key: string
  readonly epoch: number
  expiresAt: number
  readonly #parts: MetaLeaseParts
  readonly #lost = new AbortController()
  #released = false

  constructor(parts: MetaLeaseParts) {
    this.application = parts.application
    this.key = parts.key
    this.epoch = parts.epoch
    this.expiresAt = parts.expiresAt
    this.#parts = parts
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  readCheckpoint<P>(): P | null {
    return this.#parts.readCheckpoint<P>()
  }

  async saveCheckpoint(position: unknown): Promise<void> {
    this.#lost.signal.throwIfAborted()
    const row: CheckpointRow = { position, savedAt: this.#parts.now(), epoch: this.epoch }
    const saved = await this.#parts.commit({
      puts: [{ key: checkpointKey(this.application, this.key), value: row }],
    })
    if (!saved) this.#lose()
    this.#lost.signal.throwIfAborted()
  }

  async renew(until: number): Promise<void> {
    const renewed = await this.#parts.commit({
      puts: [{ key: expiryKey(this.application, this.key), value: until }],
    })
    if (renewed) this.expiresAt = until
    else this.#lose()
  }

  /** After a failed renewal: the right lasts until its time is over, not longer. */
  loseWhenExpired(): void {
    if (this.expiresAt <= this.#parts.now()) this.#lose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return
    this.#released = true
    this.#parts.onReleased()
    await this.#parts.commit({
      puts: [
        {
          key: fenceKey(this.application, this.key),
          value: { owner: null, epoch: this.epoch } satisfies FenceRow,
        },
      ],
      deletes: [expiryKey(this.application, this.key)],
    })
  }

  #lose(): void {
    if (this.#lost.signal.aborted) return
    this.#parts.onReleased()
    this.#lost.abort(
      new ServiceError('conflict', 'LeaseLost', `The lease of ${this.key} is another worker's.`, {
        context: { application: this.application, key: this.key, epoch: this.epoch },
      }),
    )
  }
}

const fenceKey = (...rest: string[]): MetaKey => ['consume', 'lease', ...rest]
const expiryKey = (...rest: string[]): MetaKey => ['consume', 'expiry', ...rest]
const checkpointKey = (...rest: string[]): MetaKey => ['consume', 'checkpoint', ...rest]
