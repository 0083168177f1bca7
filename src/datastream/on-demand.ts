import type { EpochMs } from '../domain/time.ts'
import type { MetaKey, MetaStore } from '../platform/meta-store.ts'
import type { OpenStream } from './open-stream.ts'
import { planOnDemand, type BusyShard, type OnDemandStep, type Peak } from './plan-on-demand.ts'
import { toShardId } from './shard.ts'
import type { Traffic } from './shard-traffic.ts'
import type { StoreParts } from './store-parts.ts'

const ROUND_MS = 60_000
const DAY_MS = 24 * 3_600_000
const DAYS = 30
/** A key with more than this part of a busy shard's bytes is told: no split can help it. */
const HOT_SHARE = 0.5
const BUSY_BYTES_PER_SECOND = 512 * 1024
const BUSY_RECORDS_PER_SECOND = 500

/** `datastream peak <created at>`: the largest traffic of a minute, per day. */
type PeakRow = readonly (Peak & { readonly day: number })[]
export const peakKey = (createdAt: EpochMs): MetaKey => ['datastream', 'peak', createdAt]

/**
 * Looks at the traffic of every shard once a minute: tells hot keys, and splits and merges the
 * shards of on-demand streams. Never rejects.
 */
export async function watchTraffic(
  parts: StoreParts,
  streams: () => Iterable<OpenStream>,
  take: (stream: OpenStream, step: OnDemandStep) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await parts.clock.sleep(ROUND_MS, signal)
      for (const stream of streams()) {
        signal.throwIfAborted()
        await watch(parts, stream, take).catch((error: unknown) => {
          if (stream.gone.signal.aborted) return
          parts.log.warn({ stream: stream.row.name, err: error }, 'resharding on demand failed')
        })
      }
    }
  } catch (error) {
    if (!signal.aborted) parts.log.error({ err: error }, 'watching the traffic ended')
  }
}

async function watch(
  parts: StoreParts,
  stream: OpenStream,
  take: (stream: OpenStream, step: OnDemandStep) => Promise<void>,
): Promise<void> {
  const now = parts.clock.now()
  const shards = stream.openShards.map((shard) => {
    const traffic = shard.traffic.take(now)
    reportHotKey(parts, stream, shard.info.shardId, traffic)
    return { number: shard.row.number, range: shard.row.range, ...traffic }
  })
  if (stream.row.mode !== 'ON_DEMAND') return
  const peak = await notePeak(parts.meta, stream.row.createdAt, sumOf(shards), now)
  for (const step of planOnDemand(shards, { peak, warmMiBps: stream.row.warmMiBps })) {
    await take(stream, step)
    const from = toShardId(step.number)
    parts.log.info(
      { stream: stream.row.name, kind: step.kind, shardId: from },
      'resharded on demand',
    )
  }
}

function reportHotKey(
  { events }: StoreParts,
  { row }: OpenStream,
  shardId: string,
  { hotKey, bytesPerSecond, recordsPerSecond }: Traffic,
): void {
  const busy = bytesPerSecond > BUSY_BYTES_PER_SECOND || recordsPerSecond > BUSY_RECORDS_PER_SECOND
  if (!busy || hotKey === null || hotKey.share < HOT_SHARE) return
  events.hotKey({ stream: row.name, shardId, ...hotKey, bytesPerSecond, recordsPerSecond })
}

function sumOf(shards: readonly BusyShard[]): Peak {
  const sum = (of: (shard: BusyShard) => number) => shards.reduce((all, one) => all + of(one), 0)
  return {
    bytesPerSecond: sum((shard) => shard.bytesPerSecond),
    recordsPerSecond: sum((shard) => shard.recordsPerSecond),
  }
}

/** The largest traffic of the last 30 days, this minute's included; written when it grew. */
async function notePeak(
  meta: MetaStore,
  createdAt: EpochMs,
  latest: Peak,
  now: EpochMs,
): Promise<Peak> {
  const today = Math.floor(now / DAY_MS)
  const stored = meta.get<PeakRow>(peakKey(createdAt)) ?? []
  const days = stored.filter(({ day }) => day > today - DAYS && day !== today)
  const before = stored.find(({ day }) => day === today) ?? NOTHING
  const row = { day: today, ...largest([before, latest]) }
  const grew =
    row.bytesPerSecond > before.bytesPerSecond || row.recordsPerSecond > before.recordsPerSecond
  if (grew) await meta.commit({ puts: [{ key: peakKey(createdAt), value: [...days, row] }] })
  return largest([...days, row])
}

const NOTHING: Peak = { bytesPerSecond: 0, recordsPerSecond: 0 }

function largest(peaks: readonly Peak[]): Peak {
  return {
    bytesPerSecond: Math.max(...peaks.map((peak) => peak.bytesPerSecond)),
    recordsPerSecond: Math.max(...peaks.map((peak) => peak.recordsPerSecond)),
  }
}
