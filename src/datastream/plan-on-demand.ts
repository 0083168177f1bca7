import type { HashRange } from './hash-range.ts'

/** An open shard with what it took of late. */
export type BusyShard = {
  readonly number: number
  readonly range: HashRange
  readonly bytesPerSecond: number
  readonly recordsPerSecond: number
}

export type OnDemandStep =
  | { readonly kind: 'split'; readonly number: number; readonly at: string }
  | { readonly kind: 'merge'; readonly number: number; readonly adjacent: number }

export type Peak = { readonly bytesPerSecond: number; readonly recordsPerSecond: number }

/** 4 MB/s or 4,000 records/s, whatever the traffic was. */
const LEAST_SHARDS = 4
const SHARD_BYTES_PER_SECOND = 1024 * 1024
const SHARD_RECORDS_PER_SECOND = 1000
/** A shard that takes more than half of what it can is split. */
const HOT = 0.5
/** Two neighbours that together take less than this part of one become one. */
const COLD = 0.125
/** Changes of one round: each takes a commit, and the next round comes in a minute. */
const MAX_STEPS = 64

/**
 * What to do about an on-demand stream: it is kept able to take double the peak of the last 30 days,
 * and no shard of it more than half of its capacity (Kinesis Data Streams, "On-demand mode").
 *
 * @param shards open, in the order of their ranges
 */
export function planOnDemand(
  shards: readonly BusyShard[],
  { peak, warmMiBps }: { readonly peak: Peak; readonly warmMiBps: number },
): readonly OnDemandStep[] {
  const wanted = shardsFor(peak, warmMiBps)
  const hot = shards.filter((shard) => loadOf(shard) > HOT && width(shard.range) > 4n)
  const splits = [...hot, ...widest(shards, hot, wanted - shards.length - hot.length)]
  if (splits.length > 0) {
    return splits.slice(0, MAX_STEPS).map(({ number, range }) => {
      return { kind: 'split', number, at: middleOf(range) }
    })
  }
  return shards.length > wanted ? planMerges(shards, shards.length - wanted) : []
}

export function shardsFor(peak: Peak, warmMiBps: number): number {
  return Math.max(
    LEAST_SHARDS,
    warmMiBps,
    Math.ceil((2 * peak.bytesPerSecond) / SHARD_BYTES_PER_SECOND),
    Math.ceil((2 * peak.recordsPerSecond) / SHARD_RECORDS_PER_SECOND),
  )
}

/** Part of its capacity that a shard takes. */
function loadOf({ bytesPerSecond, recordsPerSecond }: BusyShard): number {
  return Math.max(
    bytesPerSecond / SHARD_BYTES_PER_SECOND,
    recordsPerSecond / SHARD_RECORDS_PER_SECOND,
  )
}

function widest(
  shards: readonly BusyShard[],
  except: readonly BusyShard[],
  count: number,
): readonly BusyShard[] {
  if (count <= 0) return []
  return shards
    .filter((shard) => !except.includes(shard) && width(shard.range) > 4n)
    .sort((a, b) => (width(a.range) > width(b.range) ? -1 : 1))
    .slice(0, count)
}

/** Pairs of cold neighbours, the coldest first, each shard in one pair at most. */
function planMerges(shards: readonly BusyShard[], count: number): readonly OnDemandStep[] {
  const pairs = shards
    .slice(1)
    .map((high, i) => ({ low: shards[i]!, high, load: loadOf(shards[i]!) + loadOf(high) }))
    .filter(({ load }) => load < COLD)
    .sort((a, b) => a.load - b.load)
  const merged = new Set<number>()
  const steps: OnDemandStep[] = []
  for (const { low, high } of pairs) {
    if (steps.length >= Math.min(count, MAX_STEPS)) break
    if (merged.has(low.number) || merged.has(high.number)) continue
    merged.add(low.number).add(high.number)
    steps.push({ kind: 'merge', number: low.number, adjacent: high.number })
  }
  return steps
}

function width({ from, to }: HashRange): bigint {
  return BigInt(`0x${to}`) - BigInt(`0x${from}`) + 1n
}

/** Decimal. */
function middleOf(range: HashRange): string {
  return (BigInt(`0x${range.from}`) + width(range) / 2n).toString()
}
