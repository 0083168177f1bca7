import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaKey, MetaStore } from '../platform/meta-store.ts'

/**
 * The minimum-throughput commitment of the account. Nothing is billed here; while it lasts, streams
 * may have warm throughput and more consumers. It lasts a day at least: ended earlier, it goes on
 * until then and ends by itself, unless it is asked for again.
 */
export type Commitment = {
  readonly status: 'ENABLED' | 'ENABLED_UNTIL_EARLIEST_ALLOWED_END' | 'DISABLED'
  readonly startedAt: EpochMs | null
  readonly endedAt: EpochMs | null
  readonly earliestAllowedEndAt: EpochMs | null
}

const KEY: MetaKey = ['datastream', 'account-commitment']
const LEAST_MS = 24 * 3_600_000

/** `endsAt: null`: until told otherwise. */
type Row = { readonly startedAt: EpochMs; readonly endsAt: EpochMs | null }

export class AccountSettings {
  readonly #meta: MetaStore
  readonly #clock: Clock

  constructor({ meta, clock }: { readonly meta: MetaStore; readonly clock: Clock }) {
    this.#meta = meta
    this.#clock = clock
  }

  commitment(): Commitment {
    return toCommitment(this.#meta.get<Row>(KEY), this.#clock.now())
  }

  get isCommitted(): boolean {
    return this.commitment().status !== 'DISABLED'
  }

  async commit(wanted: 'ENABLED' | 'DISABLED'): Promise<Commitment> {
    const before = this.#meta.get<Row>(KEY)
    const after = planCommitment(before, wanted, this.#clock.now())
    if (after !== before) await this.#meta.commit({ puts: [{ key: KEY, value: after }] })
    return this.commitment()
  }
}

function planCommitment(row: Row | null, wanted: 'ENABLED' | 'DISABLED', now: EpochMs): Row | null {
  const lasts = row !== null && (row.endsAt === null || row.endsAt > now)
  if (wanted === 'ENABLED')
    return lasts ? { ...row, endsAt: null } : { startedAt: now, endsAt: null }
  if (!lasts || row.endsAt !== null) return row
  return { ...row, endsAt: epochMs(Math.max(now, row.startedAt + LEAST_MS)) }
}

function toCommitment(row: Row | null, now: EpochMs): Commitment {
  if (row === null) {
    return { status: 'DISABLED', startedAt: null, endedAt: null, earliestAllowedEndAt: null }
  }
  const { startedAt, endsAt } = row
  const earliestAllowedEndAt = epochMs(startedAt + LEAST_MS)
  if (endsAt !== null && endsAt <= now) {
    return { status: 'DISABLED', startedAt, endedAt: endsAt, earliestAllowedEndAt: null }
  }
  const status = endsAt === null ? 'ENABLED' : 'ENABLED_UNTIL_EARLIEST_ALLOWED_END'
  return { status, startedAt, endedAt: null, earliestAllowedEndAt }
}
