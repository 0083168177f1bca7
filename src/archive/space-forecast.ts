/** One stream as a forecast sees it. */
export type StreamGrowth = {
  readonly bytes: number
  readonly quotaBytes: number | null
  readonly writeBytesPerSecond: number
  readonly retentionMs: number
  /** Age of the oldest media that is kept; `null`: none is. */
  readonly oldestAgeMs: number | null
}

/** Seconds from now; 0: it is so already; `null`: not as things go now. */
export type StreamForecast = {
  readonly retentionReachedInSeconds: number | null
  readonly quotaReachedInSeconds: number | null
}

/**
 * Says when a stream stops growing. From then on as much goes as comes, because of its age or of its
 * quota, whichever is first.
 */
export function forecastStream(stream: StreamGrowth): StreamForecast {
  const { bytes, quotaBytes, writeBytesPerSecond, retentionMs, oldestAgeMs } = stream
  if (writeBytesPerSecond <= 0) {
    return { retentionReachedInSeconds: null, quotaReachedInSeconds: null }
  }
  const toRetention = Math.max(retentionMs - (oldestAgeMs ?? 0), 0) / 1000
  const toQuota = quotaBytes === null ? null : Math.max(quotaBytes - bytes, 0) / writeBytesPerSecond
  return { retentionReachedInSeconds: toRetention, quotaReachedInSeconds: toQuota }
}

/**
 * Seconds until the disk has no more than `minFreeBytes` left, when every stream goes on as it does
 * until it stops growing; `null`: it never is.
 */
export function forecastDiskFull(
  streams: readonly StreamGrowth[],
  disk: { readonly freeBytes: number; readonly minFreeBytes: number },
): number | null {
  let room = disk.freeBytes - disk.minFreeBytes
  if (room <= 0) return 0
  const growing = streams
    .map((stream) => ({ rate: stream.writeBytesPerSecond, until: growsFor(stream) }))
    .filter(({ rate, until }) => rate > 0 && until > 0)
    .toSorted((a, b) => a.until - b.until)
  let rate = growing.reduce((sum, stream) => sum + stream.rate, 0)
  let now = 0
  for (const stream of growing) {
    const filled = rate * (stream.until - now)
    if (filled >= room) return now + room / rate
    room -= filled
    now = stream.until
    rate -= stream.rate
  }
  return null
}

function growsFor(stream: StreamGrowth): number {
  const { retentionReachedInSeconds, quotaReachedInSeconds } = forecastStream(stream)
  return Math.min(retentionReachedInSeconds ?? 0, quotaReachedInSeconds ?? Infinity)
}
