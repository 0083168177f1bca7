import { createFile, MP4BoxBuffer, type ISOFile, type Sample as Mp4Sample } from 'mp4box'
import { describe, expect, test } from 'vitest'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../../src/domain/track.ts'
import { toInitSegment } from '../../../src/media/fmp4/init-segment.ts'
import { toMediaSegment, type SegmentSample } from '../../../src/media/fmp4/media-segment.ts'
import { toPlayableTracks } from '../../../src/media/fmp4/playable-track.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

// Written by FFmpeg: libx264 480x360 Main, 44.1 kHz stereo AAC LC.
const AVCC = hex(
  '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
)
const video: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: AVCC,
  timescale: 1000,
  video: { widthPx: 480, heightPx: 360 },
  audio: null,
}
const audio: Track = {
  number: 2,
  kind: 'audio',
  codecId: CODEC_AAC,
  codecPrivate: hex('1210'),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 44_100, channels: 2 },
}

/** What mp4box, which is not ours, reads out of the parts. */
function parse(parts: readonly Uint8Array[]): { file: ISOFile; samples: Map<number, Mp4Sample[]> } {
  const file = createFile()
  const samples = new Map<number, Mp4Sample[]>()
  file.onError = (_, message) => {
    throw new Error(message)
  }
  file.onSamples = (id, _, found) => samples.set(id, [...(samples.get(id) ?? []), ...found])
  file.onReady = (info) => {
    for (const { id } of info.tracks) file.setExtractionOptions(id, null, { nbSamples: 1 })
    file.start()
  }
  const bytes = Buffer.concat(parts)
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(whole, 0))
  file.flush()
  return { file, samples }
}

describe('toInitSegment (ISO/IEC 14496-12 §8.8.1)', () => {
  test('is read by mp4box as a fragmented movie of both tracks', () => {
    const info = parse([toInitSegment([video, audio])]).file.getInfo()

    expect(info.isFragmented).toBe(true)
    expect(
      info.tracks.map(({ id, codec, timescale, type }) => [id, codec, timescale, type]),
    ).toEqual([
      [1, 'avc1.4d4015', 90_000, 'video'],
      [2, 'mp4a.40.2', 44_100, 'audio'],
    ])
    expect(info.tracks[0]!.video).toEqual({ width: 480, height: 360 })
    expect(info.tracks[1]!.audio).toMatchObject({ sample_rate: 44_100, channel_count: 2 })
  })

  test('carries the configuration records as they are', () => {
    const bytes = Buffer.from(toInitSegment([video, audio]))

    expect(bytes.includes(Buffer.concat([Buffer.from('avcC'), video.codecPrivate]))).toBe(true)
    expect(bytes.includes(Buffer.from('05021210', 'hex'))).toBe(true) // DecoderSpecificInfo
  })

  test('keeps a decoder configuration of more than 127 bytes', () => {
    const long = { ...audio, codecPrivate: new Uint8Array(300).fill(0x12) }
    const bytes = Buffer.from(toInitSegment([long]))

    expect(bytes.includes(Buffer.concat([hex('05 82 2c'), long.codecPrivate]))).toBe(true)
    expect(() => parse([bytes])).not.toThrow()
  })

  test('names H.265 hvc1', () => {
    const hevc = { ...video, codecId: CODEC_HEVC, codecPrivate: hevcConfig() }

    expect(parse([toInitSegment([hevc])]).file.getInfo().tracks[0]!.codec).toMatch(/^hvc1\.1\./)
  })

  test('gives equal bytes for equal tracks', () => {
    expect(toInitSegment([video, audio])).toEqual(toInitSegment([{ ...video }, { ...audio }]))
  })
})

describe('toMediaSegment (ISO/IEC 14496-12 §8.8.4)', () => {
  const sample = (change: Partial<SegmentSample> & { data: Uint8Array }): SegmentSample => ({
    durationTicks: 3600,
    compositionOffset: 0,
    isKey: true,
    ...change,
  })
  const base = Date.UTC(2026, 0, 2) * 90
  const videoSamples = [
    sample({ data: Uint8Array.of(1, 2, 3) }),
    sample({ data: Uint8Array.of(4, 5), isKey: false, compositionOffset: 7200 }),
    sample({ data: Uint8Array.of(6), isKey: false, compositionOffset: -3600 }),
  ]
  const audioSamples = [
    sample({ data: Uint8Array.of(7, 8), durationTicks: 1024 }),
    sample({ data: Uint8Array.of(9), durationTicks: 1000 }),
  ]
  const segment = toMediaSegment({
    sequence: 2 ** 32 + 5,
    tracks: [
      { track: video, baseDecodeTime: base, samples: videoSamples },
      { track: audio, baseDecodeTime: 77_938_946_314_410, samples: audioSamples },
    ],
  })

  test('is read by mp4box with every time, flag and byte', () => {
    const { file, samples } = parse([toInitSegment([video, audio]), ...segment])
    const row = ({ dts, cts, duration, is_sync, data }: Mp4Sample) => ({
      dts,
      cts,
      duration,
      isKey: is_sync,
      data: [...data!],
    })

    expect(file.moofs[0]!.mfhd.sequence_number).toBe(5)
    expect(samples.get(1)!.map(row)).toEqual([
      { dts: base, cts: base, duration: 3600, isKey: true, data: [1, 2, 3] },
      { dts: base + 3600, cts: base + 10_800, duration: 3600, isKey: false, data: [4, 5] },
      { dts: base + 7200, cts: base + 3600, duration: 3600, isKey: false, data: [6] },
    ])
    expect(samples.get(2)!.map(row)).toEqual([
      {
        dts: 77_938_946_314_410,
        cts: 77_938_946_314_410,
        duration: 1024,
        isKey: true,
        data: [7, 8],
      },
      { dts: 77_938_946_315_434, cts: 77_938_946_315_434, duration: 1000, isKey: true, data: [9] },
    ])
  })

  test('copies no media: the parts are the samples', () => {
    const payload = [...videoSamples, ...audioSamples].map(({ data }) => data)

    expect(segment.slice(1).every((part, i) => part === payload[i])).toBe(true)
    expect(segment).toHaveLength(1 + payload.length)
  })
})

describe('toPlayableTracks', () => {
  const other = { ...video, number: 3, codecId: 'V_MJPEG' }
  test.each([
    { rule: 'puts video first', tracks: [audio, video], found: [1, 2] },
    { rule: 'takes the first of a kind', tracks: [video, { ...video, number: 4 }], found: [1] },
    { rule: 'leaves other codecs', tracks: [other, audio], found: [2] },
    {
      rule: 'leaves video without its configuration',
      tracks: [{ ...video, codecPrivate: hex('') }],
      found: [],
    },
    {
      rule: 'takes the older codec ID',
      tracks: [{ ...audio, codecId: 'A_AAC/MPEG4/LC' }],
      found: [2],
    },
    {
      rule: 'leaves audio of a broken rate',
      tracks: [{ ...audio, audio: { sampleRateHz: 0.5, channels: 1 } }],
      found: [],
    },
  ])('$rule', ({ tracks, found }) => {
    expect(toPlayableTracks(tracks).map(({ number }) => number)).toEqual(found)
  })
})

/** The fixed part of an hvcC and one array each of VPS, SPS and PPS of a byte: enough to name it. */
function hevcConfig(): Uint8Array {
  const fixed = hex('01 01 60000000 900000000000 5d f000 fc fd f8 f8 0000 0f 03')
  const arrays = [32, 33, 34].map((type) => Uint8Array.of(0x80 | type, 0, 1, 0, 1, 0x40))
  return new Uint8Array(Buffer.concat([fixed, ...arrays]))
}
