import type { Fragment } from '../../domain/fragment.ts'
import { epochMs } from '../../domain/time.ts'
import type { PlaylistSegment } from '../../media/hls/media-playlist.ts'
import type { ChunkFormat } from './chunk-formats.ts'

/** A gap in wall time that is one, and not the rounding of clocks (KVS: DiscontinuityMode). */
export const GAP_MS = 50

/**
 * How far a fragment may begin before its predecessor's end and still continue it: audio runs ahead
 * of video that is presented later than it is decoded, by the reordering delay.
 */
const MAX_OVERLAP_MS = 1000

/** Whether `next` goes on where `fragment` stops, so that no sample in between is missing. */
export function continues(fragment: Fragment, next: Fragment): boolean {
  if (next.discontinuity || next.sequence !== fragment.sequence + 1) return false
  const gapMs = next.producerTimestamp - endOf(fragment)
  const advances = next.producerTimestamp > fragment.producerTimestamp
  return advances && gapMs <= GAP_MS && gapMs >= -MAX_OVERLAP_MS
}

/** Wall time by the producer's clock. */
export function endOf(fragment: Fragment): number {
  return fragment.producerTimestamp + fragment.durationMs
}

/**
 * The playlist entries of fragments that are to be played in this order.
 *
 * 1. A segment lasts until its successor begins when that continues it, else as long as it says.
 * 2. It is a discontinuity when it does not continue its predecessor, or has another
 *    initialization segment.
 *
 * @param toUris URIs relative to the playlist
 */
export function toPlaylistSegments(
  fragments: readonly Fragment[],
  toUris: (fragment: Fragment) => { readonly uri: string; readonly initUri: string },
): readonly PlaylistSegment[] {
  const segments: PlaylistSegment[] = []
  for (const [i, fragment] of fragments.entries()) {
    const previous = fragments[i - 1]
    const next = fragments[i + 1]
    const { uri, initUri } = toUris(fragment)
    const continued = previous === undefined || continues(previous, fragment)
    const durationMs =
      next !== undefined && continues(fragment, next)
        ? next.producerTimestamp - fragment.producerTimestamp
        : fragment.durationMs
    segments.push({
      uri,
      initUri,
      durationMs,
      startsAt: epochMs(fragment.producerTimestamp),
      startsWithKey: fragment.startsWithKey,
      discontinuity: !continued || (segments.at(-1)?.initUri ?? initUri) !== initUri,
    })
  }
  return segments
}

/** Bits per second of the densest fragment, and of all of them. */
export function toBandwidth(fragments: readonly Fragment[]): {
  readonly peakBps: number
  readonly averageBps: number
} {
  const durationMs = fragments.reduce((sum, fragment) => sum + fragment.durationMs, 0)
  const sizeBytes = fragments.reduce((sum, fragment) => sum + fragment.sizeBytes, 0)
  // RFC 8216 §4.1: the peak is taken over at least half a target duration. A short last fragment
  // of a session is nearly all key sample and would otherwise stand for the whole stream.
  const longestMs = fragments.reduce((max, fragment) => Math.max(max, fragment.durationMs), 0)
  const typical = fragments.filter((fragment) => fragment.durationMs >= longestMs / 2)
  const peakBps = typical.reduce((max, fragment) => Math.max(max, toBps(fragment)), 0)
  const averageBps = toBps({ sizeBytes, durationMs })
  return { peakBps: Math.max(peakBps, averageBps), averageBps }
}

function toBps(amount: { readonly sizeBytes: number; readonly durationMs: number }): number {
  return (amount.sizeBytes * 8 * 1000) / Math.max(1, amount.durationMs)
}

/** What a master playlist says of media in these formats: every codec, the largest and fastest. */
export function describeVariant(formats: readonly ChunkFormat[]) {
  return {
    codecs: [...new Set(formats.flatMap(({ codecs }) => codecs))],
    resolution: largest(formats),
    frameRate: formats.reduce(fastest, null),
  }
}

function largest(formats: readonly ChunkFormat[]): ChunkFormat['resolution'] {
  const area = (size: ChunkFormat['resolution']) =>
    size === null ? 0 : size.widthPx * size.heightPx
  return formats
    .map((format) => format.resolution)
    .reduce((a, b) => (area(b) > area(a) ? b : a), null)
}

function fastest(a: number | null, { frameRate }: ChunkFormat): number | null {
  return a === null || (frameRate !== null && frameRate > a) ? frameRate : a
}
