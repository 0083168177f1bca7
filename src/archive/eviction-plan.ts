import type { StreamId } from '../domain/stream.ts'

/** What one stream takes, and what of it may go. */
export type StreamSpace = {
  readonly streamId: StreamId
  /** Of all its chunks. */
  readonly bytes: number
  readonly quotaBytes: number | null
  /** Finished chunks that no hold keeps, oldest first; as many as are worth looking at. */
  readonly evictable: readonly EvictableChunk[]
}

export type EvictableChunk = {
  readonly firstCounter: number
  readonly bytes: number
  readonly lastServerTimestamp: number
}

export type DiskSpace = { readonly freeBytes: number; readonly minFreeBytes: number }

export type Eviction = {
  readonly streamId: StreamId
  readonly firstCounter: number
  readonly bytes: number
  readonly reason: 'quota' | 'disk-space'
}

/**
 * Decides which chunks go for lack of space, in order:
 *
 *   1. a stream over its quota loses its own oldest, until it is within
 *   2. while less than the minimum is free, the oldest of the stream that is furthest over its share
 *      goes; shares are equal, so that is the largest one. Among equals the oldest chunk goes.
 *
 * A quota is a limit, not a reservation. It plans with what it is given: when that is used up and
 * more has to go, the caller looks again.
 */
export function planEviction(
  streams: readonly StreamSpace[],
  disk: DiskSpace,
): readonly Eviction[] {
  const evictions: Eviction[] = []
  const rest = streams.map(({ streamId, bytes, quotaBytes, evictable }) => ({
    ...{ streamId, bytes, quotaBytes },
    next: 0,
    evictable,
  }))
  let { freeBytes } = disk
  const evict = (stream: (typeof rest)[number], reason: Eviction['reason']) => {
    const { firstCounter, bytes } = stream.evictable[stream.next++]!
    stream.bytes -= bytes
    freeBytes += bytes
    evictions.push({ streamId: stream.streamId, firstCounter, bytes, reason })
  }

  for (const stream of rest) {
    const quota = stream.quotaBytes ?? Infinity
    while (stream.bytes > quota && stream.next < stream.evictable.length) evict(stream, 'quota')
  }
  while (freeBytes < disk.minFreeBytes) {
    const candidates = rest.filter(({ next, evictable }) => next < evictable.length)
    if (candidates.length === 0) break
    const ageOf = ({ next, evictable }: (typeof rest)[number]) =>
      evictable[next]!.lastServerTimestamp
    const largest = candidates.reduce((a, b) => {
      if (a.bytes !== b.bytes) return a.bytes > b.bytes ? a : b
      return ageOf(a) <= ageOf(b) ? a : b
    })
    evict(largest, 'disk-space')
  }
  return evictions
}

const GIB = 1024 ** 3

/** When nothing is configured: a twentieth of the disk, but no more than half a gibibyte. */
export function defaultMinFreeBytes(totalBytes: number): number {
  return Math.min(Math.floor(totalBytes / 20), GIB / 2)
}
