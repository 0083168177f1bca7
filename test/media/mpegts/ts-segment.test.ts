import { describe, expect, test } from 'vitest'
import { CODEC_AAC, CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import type { SegmentSample, SegmentTrack } from '../../../src/media/fmp4/media-segment.ts'
import { crc32Mpeg2 } from '../../../src/media/mpegts/program-tables.ts'
import { toTsSegment } from '../../../src/media/mpegts/ts-segment.ts'
import { readTs, type ReadTs } from './read-ts.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

// Written by FFmpeg: libx264 480x360 Main, 44.1 kHz stereo AAC LC.
const AVCC = hex(
  '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
)
const SPS = '00000001674d4015e883c05ff02e02d40404050000030001000003003c0f162d12'
const PPS = '0000000168ebaf20'
const AUD = '0000000109f0'
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

const START = Date.UTC(2026, 0, 2) * 90
const FRAME_TICKS = 3600

function nal(header: number, size: number): Uint8Array {
  const bytes = new Uint8Array(4 + size).fill(0x5a)
  new DataView(bytes.buffer).setUint32(0, size)
  bytes[4] = header
  return bytes
}

function sample(change: Partial<SegmentSample> & { data: Uint8Array }): SegmentSample {
  return { durationTicks: FRAME_TICKS, compositionOffset: 0, isKey: false, ...change }
}

/** A key sample and what follows it, one per size. */
function videoRun(sizes: readonly number[], baseDecodeTime = START): SegmentTrack {
  const samples = sizes.map((size, i) =>
    sample({ isKey: i === 0, data: nal(i === 0 ? 0x65 : 0x41, size) }),
  )
  return { track: video, baseDecodeTime, samples }
}

function audioRun(frames: number, startMs = START / 90): SegmentTrack {
  const samples = Array.from({ length: frames }, (_, i) =>
    sample({ isKey: true, durationTicks: 1024, data: new Uint8Array(200).fill(i) }),
  )
  return { track: audio, baseDecodeTime: Math.round((startMs * 44_100) / 1000), samples }
}

const [VIDEO, AUDIO] = [0, 1]
const unitsOf = (ts: ReadTs, stream: number) => ts.streams[stream]!.units
const wrap = (ticks: number) => ticks % 2 ** 33

describe('toTsSegment (ISO/IEC 13818-1)', () => {
  test('announces the tracks, the first with the clock', () => {
    const ts = readTs(toTsSegment({ tracks: [videoRun([100]), audioRun(1)] }))

    expect(ts.streams.map(({ pid, type }) => [pid, type])).toEqual([
      [0x100, 0x1b],
      [0x101, 0x0f],
    ])
    expect(ts.pcrPid).toBe(0x100)
  })

  test('gives every unit its wall time at 90 kHz, in 33 bits', () => {
    const run = { ...videoRun([100, 50, 50]) }
    const reordered = run.samples.map((one, i) => ({
      ...one,
      compositionOffset: [FRAME_TICKS, 2 * FRAME_TICKS, 0][i]!,
    }))

    const ts = readTs(toTsSegment({ tracks: [{ ...run, samples: reordered }, audioRun(3)] }))

    expect(unitsOf(ts, VIDEO).map(({ dts, pts }) => [dts, pts])).toEqual([
      [wrap(START), wrap(START + FRAME_TICKS)],
      [wrap(START + FRAME_TICKS), wrap(START + 3 * FRAME_TICKS)],
      [wrap(START + 2 * FRAME_TICKS), wrap(START + 2 * FRAME_TICKS)],
    ])
    expect(unitsOf(ts, AUDIO)[0]!.pts).toBe(wrap(START))
  })

  test('goes over the end of 33 bits within a segment', () => {
    const edge = Math.ceil(START / 2 ** 33) * 2 ** 33

    const ts = readTs(toTsSegment({ tracks: [videoRun([9, 9, 9], edge - FRAME_TICKS)] }))

    expect(unitsOf(ts, VIDEO).map(({ dts }) => dts)).toEqual([
      2 ** 33 - FRAME_TICKS,
      0,
      FRAME_TICKS,
    ])
    expect(ts.pcrs.every((pcr) => pcr > 2 ** 33 - 80_000 && pcr < 2 ** 33)).toBe(true)
  })

  test('begins each access unit with a delimiter, and key ones with parameter sets', () => {
    const ts = readTs(toTsSegment({ tracks: [videoRun([3, 2])] }))

    expect(unitsOf(ts, VIDEO).map(({ data }) => data.toString('hex'))).toEqual([
      `${AUD}${SPS}${PPS}00000001655a5a`,
      `${AUD}00000001415a`,
    ])
    expect(unitsOf(ts, VIDEO).map(({ isRandomAccess }) => isRandomAccess)).toEqual([true, false])
  })

  test.each([
    {
      rule: 'a delimiter that is there is replaced',
      data: Buffer.concat([nal(0x09, 2), nal(0x65, 2)]),
      expected: `${AUD}${SPS}${PPS}00000001655a`,
    },
    {
      rule: 'parameter sets that are there are kept and no others put before them',
      data: Buffer.concat([nal(0x67, 3), nal(0x68, 2), nal(0x65, 2)]),
      expected: `${AUD}00000001675a5a00000001685a00000001655a`,
    },
    {
      rule: 'start codes in place of lengths are read',
      data: hex('00000001 65aabb 000001 65cc'),
      expected: `${AUD}${SPS}${PPS}0000000165aabb0000000165cc`,
    },
  ])('$rule', ({ data, expected }) => {
    const run = { track: video, baseDecodeTime: START, samples: [sample({ isKey: true, data })] }

    const ts = readTs(toTsSegment({ tracks: [run] }))

    expect(unitsOf(ts, VIDEO)[0]!.data.toString('hex')).toBe(expected)
  })

  test.each([
    { rule: 'lengths that lie', data: hex('00000009 65aa') },
    { rule: 'neither lengths nor start codes', data: hex('65aabbcc') },
    { rule: 'nothing', data: new Uint8Array(0) },
  ])('leaves out a sample of $rule and keeps the others', ({ data }) => {
    const run = videoRun([9, 9])
    const samples = [run.samples[0]!, sample({ data }), run.samples[1]!]

    const ts = readTs(toTsSegment({ tracks: [{ ...run, samples }] }))

    expect(unitsOf(ts, VIDEO).map(({ dts }) => dts - wrap(START))).toEqual([0, 2 * FRAME_TICKS])
  })

  test('writes ADTS of the same configuration, a tenth of a second in one unit', () => {
    const ts = readTs(toTsSegment({ tracks: [audioRun(6)] }))

    const [first, second] = unitsOf(ts, 0)
    const frame = (value: number) => `fff15080${'19ff'}fc${hexOf(value, 200)}`
    expect(first!.data.toString('hex')).toBe([0, 1, 2, 3].map(frame).join(''))
    expect(second!.pts - first!.pts).toBe(Math.floor((4 * 1024 * 90_000) / 44_100))
    expect(second!.data.toString('hex')).toBe([4, 5].map(frame).join(''))
  })

  test('a frame of another length ends its unit, for what follows has its own time', () => {
    const run = audioRun(3)
    const samples = run.samples.map((one, i) => (i === 1 ? { ...one, durationTicks: 500 } : one))

    const ts = readTs(toTsSegment({ tracks: [{ ...run, samples }] }))

    expect(unitsOf(ts, 0)).toHaveLength(2)
    expect(unitsOf(ts, 0)[1]!.pts - unitsOf(ts, 0)[0]!.pts).toBe(
      Math.floor((1524 * 90_000) / 44_100),
    )
  })

  test('HE-AAC is AAC LC of the core rate to ADTS', () => {
    // AudioObjectType 5, core 24 kHz, stereo, extension 48 kHz, AAC LC.
    const he = { ...audio, codecPrivate: hex('2b 11 88 00') }

    const ts = readTs(toTsSegment({ tracks: [{ ...audioRun(1), track: he }] }))

    expect(unitsOf(ts, 0)[0]!.data.subarray(0, 4).toString('hex')).toBe('fff15880')
  })

  test.each([
    { rule: 'another codec', track: { ...audio, codecId: 'A_OPUS' } },
    { rule: 'AAC ELD', track: { ...audio, codecPrivate: hex('f8e85000') } },
    {
      rule: 'channels that only a program_config_element tells',
      track: { ...audio, codecPrivate: hex('1200') },
    },
  ])('refuses $rule', ({ track }) => {
    expect(() => toTsSegment({ tracks: [{ ...audioRun(1), track }] })).toThrow(
      expect.objectContaining({ code: 'UnsupportedMedia' }),
    )
  })

  test('counts on over segments of any size behind one another', () => {
    const segments: Uint8Array[] = []
    for (let i = 0; i < 40; i++) {
      const startTicks = START + i * 10 * FRAME_TICKS
      const sizes = Array.from({ length: 10 }, (_, k) => 1 + ((i * 7919 + k * 104_729) % 70_000))
      segments.push(
        toTsSegment({
          tracks: [videoRun(sizes, startTicks), audioRun(1 + (i % 19), startTicks / 90)],
        }),
      )
    }

    const ts = readTs(Buffer.concat(segments)) // throws where a counter does not go on

    expect(unitsOf(ts, VIDEO)).toHaveLength(400)
    expect(ts.streams.map(({ nextCounter }) => nextCounter)).toEqual([0, 0])
    expect(ts.pcrs).toEqual(ts.pcrs.toSorted((a, b) => a - b))
  })

  test('counts to 16 even where there is next to nothing to send', () => {
    const silence = { ...audioRun(1), samples: [sample({ data: hex('00000007'), isKey: true })] }

    const bytes = toTsSegment({ tracks: [silence] })

    expect(bytes.length).toBe((2 + 16) * 188)
    expect(unitsOf(readTs(bytes), 0)[0]!.data.length).toBe(7 + 4)
  })

  test('tells the time at least every 100 ms, also between slow pictures, before they are due', () => {
    const slow = videoRun([9, 9, 9])
    const samples = slow.samples.map((one) => ({ ...one, durationTicks: 90_000 }))

    const ts = readTs(toTsSegment({ tracks: [{ ...slow, samples }] }))

    const steps = ts.pcrs.slice(1).map((pcr, i) => pcr - ts.pcrs[i]!)
    expect(Math.max(...steps)).toBeLessThanOrEqual(9_000)
    expect(ts.pcrs[0]).toBe(wrap(START) - 63_000)
    expect(ts.pcrs.at(-1)! + 63_000 + 9_000).toBeGreaterThanOrEqual(wrap(START + 3 * 90_000))
  })

  test('a track without samples is announced, and the clock runs on it', () => {
    const ts = readTs(toTsSegment({ tracks: [{ ...videoRun([]), samples: [] }, audioRun(10)] }))

    expect(ts.streams.map(({ type, units }) => [type, units.length])).toEqual([
      [0x1b, 0],
      [0x0f, 3],
    ])
    expect(ts.pcrs.length).toBeGreaterThan(1)
  })

  test('a picture of more than 64 KiB says no length', () => {
    const ts = readTs(toTsSegment({ tracks: [videoRun([70_000, 9])] }))

    expect(unitsOf(ts, VIDEO)[0]!.data.length).toBeGreaterThan(70_000)
  })

  test('is made where it is told to', () => {
    const memory = new Uint8Array(100_000).fill(0xee)
    const bytes = toTsSegment({ tracks: [videoRun([500])] }, (size) => memory.subarray(0, size))

    expect(bytes.buffer).toBe(memory.buffer)
    expect(Buffer.from(bytes)).toEqual(Buffer.from(toTsSegment({ tracks: [videoRun([500])] })))
  })
})

test('crc32Mpeg2 is the CRC of ISO/IEC 13818-1 Annex A', () => {
  expect(crc32Mpeg2(Buffer.from('123456789'))).toBe(0x0376_e6e7)
})

function hexOf(value: number, count: number): string {
  return Buffer.alloc(count, value).toString('hex')
}
