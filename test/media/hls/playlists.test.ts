import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import { toMasterPlaylist } from '../../../src/media/hls/master-playlist.ts'
import {
  toMediaPlaylist,
  toTargetDuration,
  type PlaylistSegment,
} from '../../../src/media/hls/media-playlist.ts'

const segment = (change: Partial<PlaylistSegment>): PlaylistSegment => ({
  uri: 'segment-1.m4s',
  initUri: 'init-a.mp4',
  durationMs: 2000,
  startsAt: epochMs(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
  startsWithKey: true,
  discontinuity: false,
  ...change,
})
const playlist = {
  targetDurationS: 3,
  mediaSequence: 7,
  discontinuitySequence: 2,
  kind: 'live' as const,
}

describe('toMediaPlaylist (RFC 8216 §4.3)', () => {
  test('writes every tag in its place', () => {
    const text = toMediaPlaylist({
      ...playlist,
      kind: 'vod',
      segments: [
        segment({}),
        segment({
          uri: 'segment-2.m4s',
          durationMs: 2040,
          startsAt: epochMs(Date.UTC(2026, 0, 2)),
        }),
        segment({ uri: 'segment-3.m4s', initUri: 'init-b.mp4', discontinuity: true }),
      ],
    })

    expect(text).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:3
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init-a.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.006Z
#EXTINF:2.000,
segment-1.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T00:00:00.000Z
#EXTINF:2.040,
segment-2.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-b.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.006Z
#EXTINF:2.000,
segment-3.m4s
#EXT-X-ENDLIST
`)
  })

  test.each([
    { rule: 'a live playlist goes on', change: {}, kind: 'live' as const, absent: 'EXT-X-ENDLIST' },
    {
      rule: 'a live playlist has no type',
      change: {},
      kind: 'live' as const,
      absent: 'PLAYLIST-TYPE',
    },
    {
      rule: 'the first segment’s own discontinuity is only counted',
      change: { discontinuity: true },
      kind: 'vod' as const,
      absent: '#EXT-X-DISCONTINUITY\n',
    },
    {
      rule: 'a segment without a key is not independent',
      change: { startsWithKey: false },
      kind: 'vod' as const,
      absent: 'INDEPENDENT',
    },
  ])('$rule', ({ change, kind, absent }) => {
    const text = toMediaPlaylist({ ...playlist, kind, segments: [segment(change)] })

    expect(text).not.toContain(absent)
  })
})

describe('toTargetDuration (RFC 8216 §4.3.3.1)', () => {
  test.each([
    { durationsMs: [1999, 2000], seconds: 2 },
    { durationsMs: [2001], seconds: 3 },
    { durationsMs: [10], seconds: 1 },
    { durationsMs: [], seconds: 1 },
  ])('$durationsMs -> $seconds', ({ durationsMs, seconds }) => {
    expect(toTargetDuration(durationsMs.map((durationMs) => ({ durationMs })))).toBe(seconds)
  })
})

describe('toMasterPlaylist (RFC 8216 §4.3.4.2)', () => {
  const variant = {
    uri: 'media.m3u8?token=a',
    peakBps: 1_000_000.2,
    averageBps: 500_000,
    codecs: ['avc1.4D4015', 'mp4a.40.2'],
    resolution: { widthPx: 480, heightPx: 360 },
    frameRate: 29.97,
  }

  test('writes the variant', () => {
    expect(toMasterPlaylist(variant)).toBe(`#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=1000001,AVERAGE-BANDWIDTH=500000,CODECS="avc1.4D4015,mp4a.40.2",RESOLUTION=480x360,FRAME-RATE=29.970
media.m3u8?token=a
`)
  })

  test('leaves out what audio does not have', () => {
    const text = toMasterPlaylist({ ...variant, resolution: null, frameRate: null })

    expect(text).not.toMatch(/RESOLUTION|FRAME-RATE/)
  })
})
