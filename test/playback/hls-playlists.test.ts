import { describe, expect, test } from 'vitest'
import type { StoredFragment } from '../../src/archive/index.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import { CODEC_AAC, CODEC_AVC, type Track } from '../../src/domain/track.ts'
import { clusterStart, simpleBlockHead } from '../../src/media/matroska/writer.ts'
import { createHls } from '../../src/playback/index.ts'
import { MemoryArchive } from './support/memory-archive.ts'

const streamId = toStreamId('camera', 0)
const START = Date.UTC(2026, 0, 2)

const video: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: Buffer.from(
    '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
    'hex',
  ),
  timescale: 1000,
  video: { widthPx: 480, heightPx: 360 },
  audio: null,
}
const audio: Track = {
  number: 2,
  kind: 'audio',
  codecId: CODEC_AAC,
  codecPrivate: Buffer.from('1210', 'hex'),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 44_100, channels: 2 },
}

/** A fragment of five pictures, 40 ms apart. */
function stored(tracks: readonly Track[] = [video]): StoredFragment {
  const blocks = [0, 40, 80, 120, 160].flatMap((relativeMs) => [
    simpleBlockHead({ trackNumber: 1, relativeMs, isKey: relativeMs === 0, payloadLength: 1 }),
    Uint8Array.of(1),
  ])
  const bytes = new Uint8Array(Buffer.concat([clusterStart(START), ...blocks]))
  return { header: new Uint8Array(0), tracks, bytes }
}

type Row = Partial<Fragment> & { readonly tracks?: readonly Track[] }

/** A stream of two-second fragments with these deviations, played at its end. */
function streamOf(rows: readonly Row[]) {
  const archive = new MemoryArchive()
  const add = ({ tracks, ...row }: Row) =>
    archive.add(
      {
        streamId,
        ...(row.place === undefined && {
          place: { chunkId: (tracks ?? [video]).length.toString(), offset: 0 },
        }),
        ...(archive.size === 0 && { producerTimestamp: epochMs(START) }),
        ...row,
      },
      stored(tracks),
    )
  const fragments = rows.map(add)
  const at = { ms: fragments.length === 0 ? START : fragments.at(-1)!.producerTimestamp + 2000 }
  const clock = {
    now: () => epochMs(at.ms),
    monotonicMs: () => at.ms,
    sleep: () => Promise.resolve(),
  }
  return { archive, fragments, add, at, hls: createHls({ archive, clock }) }
}

const lines = (playlist: string, tag: string) =>
  playlist.split('\n').filter((line) => line.startsWith(tag))
const value = (playlist: string, tag: string) =>
  lines(playlist, `${tag}:`)[0]?.slice(tag.length + 1)
const rows = (count: number): Row[] => Array.from({ length: count }, () => ({}))

describe('liveMedia', () => {
  test('lists the newest six fragments, numbered by the archive', async () => {
    const { hls, fragments } = streamOf(rows(9))

    const playlist = await hls.liveMedia(streamId)

    expect(lines(playlist, 'segment-')).toEqual(
      fragments.slice(-6).map(({ fragmentNumber }) => `segment-${fragmentNumber}.m4s`),
    )
    expect(value(playlist, '#EXT-X-MEDIA-SEQUENCE')).toBe('3')
    expect(value(playlist, '#EXT-X-PROGRAM-DATE-TIME')).toBe('2026-01-02T00:00:06.000Z')
    expect(playlist).not.toContain('ENDLIST')
  })

  test.each([
    { rule: 'plays what arrived 30 s ago', ageMs: 30_000, played: true },
    { rule: 'has nothing to play a moment later', ageMs: 30_001, played: false },
  ])('$rule', async ({ ageMs, played }) => {
    const { hls, at } = streamOf(rows(1))
    at.ms += ageMs

    const playlist = hls.liveMedia(streamId)

    if (played) await expect(playlist).resolves.toContain('#EXTINF')
    else await expect(playlist).rejects.toMatchObject({ kind: 'not-found', code: 'NoMedia' })
  })

  test('has nothing to play before the first fragment', async () => {
    await expect(streamOf([]).hls.liveMedia(streamId)).rejects.toMatchObject({ code: 'NoMedia' })
  })

  test('a segment lasts until the next begins; the newest as long as it says', async () => {
    const { hls } = streamOf(
      [{ durationMs: 1980 }, { durationMs: 1990 }].map((row, i) => ({
        ...row,
        producerTimestamp: epochMs(START + i * 2000),
      })),
    )

    expect(lines(await hls.liveMedia(streamId), '#EXTINF')).toEqual([
      '#EXTINF:2.000,',
      '#EXTINF:1.990,',
    ])
  })

  test('keeps its target duration when the longest segment leaves the window', async () => {
    const { hls } = streamOf([{ durationMs: 5500 }, ...rows(10)])

    expect(value(await hls.liveMedia(streamId), '#EXT-X-TARGETDURATION')).toBe('6')
  })

  test.each([
    { rule: 'declared', second: { discontinuity: true } },
    { rule: 'a gap of more than 50 ms', second: { producerTimestamp: epochMs(START + 2051) } },
    { rule: 'other parameters', second: { tracks: [video, audio] } },
    { rule: 'a clock that went back', second: { producerTimestamp: epochMs(START - 5000) } },
  ])('marks a discontinuity: $rule', async ({ second }) => {
    const { hls } = streamOf([{}, second])

    const playlist = await hls.liveMedia(streamId)

    expect(playlist.split('\n').slice(10, 11)).toEqual(['#EXT-X-DISCONTINUITY'])
    expect(lines(playlist, '#EXTINF')[0]).toBe('#EXTINF:2.000,')
  })

  test.each([
    { rule: 'a gap of 50 ms', ms: 2050 },
    { rule: 'an overlap by the reordering delay', ms: 1900 },
  ])('marks none: $rule', async ({ ms }) => {
    const { hls } = streamOf([{}, { producerTimestamp: epochMs(START + ms) }])

    const playlist = await hls.liveMedia(streamId)

    expect(playlist).not.toContain('#EXT-X-DISCONTINUITY\n')
    expect(lines(playlist, '#EXTINF')[0]).toBe(`#EXTINF:${(ms / 1000).toFixed(3)},`)
  })

  test('shares one initialization segment between chunks of equal headers', async () => {
    const { hls } = streamOf([
      { place: { chunkId: 'a', offset: 0 } },
      { place: { chunkId: 'b', offset: 0 } },
    ])

    expect(lines(await hls.liveMedia(streamId), '#EXT-X-MAP')).toHaveLength(1)
  })

  test('reads one fragment per chunk, once', async () => {
    const { hls, archive } = streamOf(rows(9))

    await hls.liveMedia(streamId)
    await hls.liveMedia(streamId)
    await hls.master(streamId, null, '')

    expect(archive.reads).toBe(1)
  })

  test('numbers each discontinuity the same in every window (RFC 8216 §6.2.2)', async () => {
    const { hls, add, at } = streamOf([])
    const numberOf = new Map<string, Set<number>>()
    const gapEvery = 5
    for (let i = 0; i < 60; i++) {
      const time = START + i * 2000 + Math.floor(i / gapEvery) * 300 // undeclared gaps
      add({ producerTimestamp: epochMs(time), discontinuity: i % 7 === 0 })
      at.ms = time + 2000
      if (i % 3 !== 0) continue // players do not see every window
      let number = NaN
      for (const line of (await hls.liveMedia(streamId)).split('\n')) {
        if (line.startsWith('#EXT-X-DISCONTINUITY-SEQUENCE:')) number = Number(line.split(':')[1])
        if (line === '#EXT-X-DISCONTINUITY') number++
        if (line.startsWith('segment-')) {
          numberOf.set(line, (numberOf.get(line) ?? new Set()).add(number))
        }
      }
    }

    expect([...numberOf.values()].every((numbers) => numbers.size === 1)).toBe(true)
    const numbers = [...numberOf.values()].map((found) => [...found][0]!)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(numbers.at(-1)! - numbers[0]!).toBe(8 + 11 - 1) // both kinds at once at 35
  })
})

describe('archiveMedia', () => {
  const range = (from: number, to: number | null) => ({
    from: epochMs(START + from),
    to: to === null ? null : epochMs(START + to),
  })

  test('lists every fragment that overlaps the range, and ends', async () => {
    const { hls } = streamOf(rows(10))

    const playlist = await hls.archiveMedia(streamId, range(3000, 8000))

    expect(lines(playlist, '#EXT-X-PROGRAM-DATE-TIME').map((line) => line.slice(-13))).toEqual([
      '00:00:02.000Z',
      '00:00:04.000Z',
      '00:00:06.000Z',
    ])
    expect(playlist).toContain('#EXT-X-PLAYLIST-TYPE:VOD')
    expect(playlist.endsWith('#EXT-X-ENDLIST\n')).toBe(true)
  })

  describe('a damaged chunk', () => {
    /** Two fragments in each of three chunks; those of the one in the middle cannot all be read. */
    const withDamage = (damaged: readonly number[]) => {
      const inChunk = (chunkId: string) => ({ place: { chunkId, offset: 0 }, tracks: [video] })
      const stream = streamOf(['a', 'a', 'b', 'b', 'c', 'c'].map(inChunk))
      for (const i of damaged) stream.archive.unreadable.add(stream.fragments[i]!.fragmentNumber)
      const number = (i: number) => `segment-${stream.fragments[i]!.fragmentNumber}.m4s`
      return { ...stream, number }
    }

    test('is left out of a range as a gap; what is around it plays', async () => {
      const { hls, number } = withDamage([2, 3])

      const playlist = await hls.archiveMedia(streamId, range(0, 12_000))

      expect(lines(playlist, 'segment-')).toEqual([0, 1, 4, 5].map(number))
      expect(lines(playlist, '#EXT-X-DISCONTINUITY')).toEqual([
        '#EXT-X-DISCONTINUITY-SEQUENCE:0',
        '#EXT-X-DISCONTINUITY',
      ])
      expect(await hls.master(streamId, range(0, 12_000), '')).toContain('CODECS="avc1')
    })

    test('is listed whole while one of its fragments tells its format', async () => {
      const { hls } = withDamage([2])

      const playlist = await hls.archiveMedia(streamId, range(0, 12_000))

      expect(lines(playlist, 'segment-')).toHaveLength(6)
    })

    test('is told when there is nothing else', async () => {
      const { hls } = withDamage([0, 1, 2, 3, 4, 5])

      await expect(hls.archiveMedia(streamId, range(0, 12_000))).rejects.toMatchObject({
        kind: 'data-loss',
      })
    })

    test('lets a live playlist begin behind it, numbered without a hole', async () => {
      const { hls, number } = withDamage([2, 3])

      const playlist = await hls.liveMedia(streamId)

      expect(lines(playlist, 'segment-')).toEqual([4, 5].map(number))
      expect(value(playlist, '#EXT-X-MEDIA-SEQUENCE')).toBe('4')
    })
  })

  test('pages through a day of one-second fragments', async () => {
    const { hls } = streamOf(Array.from({ length: 2500 }, () => ({ durationMs: 1000 })))

    const playlist = await hls.archiveMedia(streamId, range(0, 24 * 3600 * 1000))

    expect(new Set(lines(playlist, 'segment-')).size).toBe(2500)
    expect(lines(playlist, '#EXT-X-DISCONTINUITY')).toEqual(['#EXT-X-DISCONTINUITY-SEQUENCE:0'])
  })

  test('ends, though more fragments share one start than a page holds', async () => {
    const same = { producerTimestamp: epochMs(START) }
    const { hls, fragments } = streamOf(Array.from({ length: 1500 }, () => same))

    const playlist = await hls.archiveMedia(streamId, range(0, 1000))

    const newest = `segment-${fragments.at(-1)!.fragmentNumber}.m4s`
    expect(lines(playlist, 'segment-')).toEqual([newest]) // what was sent again replaces
  })

  test.each([
    { rule: 'a range that is empty', from: 1000, to: 1000, code: 'InvalidRange' },
    { rule: 'a range that ends first', from: 1000, to: 0, code: 'InvalidRange' },
    { rule: 'a range of more than a day', from: 0, to: 24 * 3600 * 1000 + 1, code: 'InvalidRange' },
    { rule: 'a range without media', from: 50_000, to: 60_000, code: 'NoMedia' },
  ])('refuses $rule', async ({ from, to, code }) => {
    const { hls } = streamOf(rows(2))

    await expect(hls.archiveMedia(streamId, range(from, to))).rejects.toMatchObject({ code })
  })

  test('without an end the range ends now', async () => {
    const { hls, at } = streamOf(rows(4))
    at.ms = START + 3000

    expect(lines(await hls.archiveMedia(streamId, range(0, null)), 'segment-')).toHaveLength(2)
  })

  test('refuses media that HLS does not carry', async () => {
    const { hls } = streamOf([{ tracks: [{ ...video, codecId: 'V_MJPEG' }] }])

    await expect(hls.archiveMedia(streamId, range(0, 1000))).rejects.toMatchObject({
      kind: 'invalid-argument',
      code: 'UnsupportedMedia',
    })
  })
})

describe('master', () => {
  test('describes the densest and the average fragment', async () => {
    const { hls } = streamOf([
      { sizeBytes: 1_000_000 },
      { sizeBytes: 500_000 },
      { sizeBytes: 90_000, durationMs: 40 },
    ])

    const playlist = await hls.master(streamId, null, '?token=a%22b')

    expect(playlist).toContain('BANDWIDTH=4000000,AVERAGE-BANDWIDTH=3148515,')
    expect(playlist).toContain('CODECS="avc1.4D4015",RESOLUTION=480x360,FRAME-RATE=25.000')
    expect(playlist.trimEnd().split('\n').at(-1)).toBe('media.m3u8?token=a%22b')
  })

  test('names every codec of a range once', async () => {
    const { hls } = streamOf([{}, { tracks: [video, audio] }])

    const playlist = await hls.master(streamId, { from: epochMs(START), to: null }, '')

    expect(playlist).toContain('CODECS="avc1.4D4015,mp4a.40.2"')
  })
})

describe('initSegment', () => {
  test('is a function of its name, which a playlist gave', async () => {
    const { hls } = streamOf([{ tracks: [video, audio] }])
    const uri = /init-(.*)\.mp4/.exec(await hls.liveMedia(streamId))![1]!

    const elsewhere = streamOf([]).hls.initSegment(uri)

    expect(elsewhere).toEqual(hls.initSegment(uri))
    expect(Buffer.from(elsewhere).includes(Buffer.from(video.codecPrivate))).toBe(true)
  })

  test.each([
    { rule: 'nothing', id: '' },
    { rule: 'an unknown codec', id: '1.vp9.480.360.AAAA' },
    { rule: 'a track without configuration', id: '1.avc.480.360.' },
    { rule: 'two tracks of one number', id: '1.avc.4.3.AAAA~1.aac.48000.2.EZA' },
    { rule: 'three tracks', id: '1.avc.4.3.AAAA~2.aac.48000.2.EZA~3.aac.48000.2.EZA' },
    { rule: 'a path', id: '../../etc/passwd' },
    { rule: 'more than a request may hold', id: `1.avc.4.3.${'A'.repeat(9000)}` },
  ])('knows no segment of $rule', ({ id }) => {
    const { hls } = streamOf([])

    expect(() => hls.initSegment(id)).toThrow(
      expect.objectContaining({ code: 'InitSegmentNotFound' }),
    )
  })
})

describe('mediaSegment', () => {
  test('knows no fragment of another stream', async () => {
    const { hls, fragments } = streamOf(rows(1))

    await expect(
      hls.mediaSegment(toStreamId('other', 1), fragments[0]!.fragmentNumber),
    ).rejects.toMatchObject({ code: 'FragmentNotFound' })
  })

  test('puts timecodes that count from the producer’s start on the wall', async () => {
    const { hls, archive } = streamOf([])
    const at = START + 5_000_000
    const fragment = archive.add({ streamId, producerTimestamp: epochMs(at) }, stored())

    const segment = Buffer.from((await hls.mediaSegment(streamId, fragment.fragmentNumber)).bytes)

    expect(segment.readBigUInt64BE(segment.indexOf('tfdt') + 8)).toBe(BigInt(at) * 90n)
  })
})
