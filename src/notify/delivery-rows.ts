import type { EpochMs } from '../domain/time.ts'
import type { MetaKey, MetaStore } from '../platform/meta-store.ts'
import type { HookPayload, LastFired } from './plan-firing.ts'

/**
 * The notifier's rows in the MetaStore.
 *
 *   notify/waiting/<hook>/<due at>/<id>     a delivery to make; the order is that of the work
 *   notify/dead/<hook>/<died at>/<id>       given up and kept
 *   notify/fired/<hook>/<stream>/<label>    the frame it last fired for; written with its delivery
 *   notify/hook/<hook>                      totals, and whether the receiver ended it (410)
 */
export const waitingKey = (hook: string, ...rest: (string | number)[]): MetaKey => [
  'notify',
  'waiting',
  hook,
  ...rest,
]
export const deadKey = (hook: string, ...rest: (string | number)[]): MetaKey => [
  'notify',
  'dead',
  hook,
  ...rest,
]
export const firedKey = (hook: string, streamName: string, label: string): MetaKey => [
  'notify',
  'fired',
  hook,
  streamName,
  label,
]
export const hookKey = (hook: string): MetaKey => ['notify', 'hook', hook]

export type DeliveryRow = {
  /** `webhook-id`. */
  readonly id: string
  readonly payload: HookPayload
  readonly createdAt: EpochMs
  /** Made and failed so far. */
  readonly attempts: number
  /** Of the last attempt; `null` before the first. */
  readonly failure: string | null
}

export type FiredRow = LastFired

export type HookRow = {
  readonly delivered: number
  readonly disabled: { readonly at: EpochMs; readonly reason: string; readonly url: string } | null
}

/** A delivery with its place among the rows. */
export type PlacedDelivery = DeliveryRow & { readonly key: MetaKey; readonly at: EpochMs }

/** Waiting or dead deliveries of a hook, earliest first. */
export async function* readDeliveries(
  meta: MetaStore,
  prefix: MetaKey,
  limit?: number,
): AsyncIterable<PlacedDelivery> {
  const range = limit === undefined ? { prefix } : { prefix, limit }
  for await (const { key, value } of meta.entries<DeliveryRow>(range)) {
    yield { ...value, key, at: key[prefix.length] as EpochMs }
  }
}
