import { describe, expect, test } from 'vitest'
import type { Sample, Track } from '../../../src/domain/track.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { FlvIntake } from '../../../src/ingest/flv/flv-intake.ts'
import { WrappingTimestamp } from '../../../src/ingest/wrapping-timestamp.ts'
import { aacFrame, aacHeader, avcFrame, avcHeader } from '../../support/rtmp-client.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

const NOW = epochMs(1_000_000)

function intakeWithRecords() {
  const expected: unknown[] = []
  const tracks: Track[] = []
  const samples: Sample[] = []
  const drops: string[] = []
  const intake = new FlvIntake({
    expect: (kinds) => expected.push(kinds),
    describe: (track) => tracks.push(track),
    write: (sample) => samples.push(sample),
    drop: (reason) => drops.push(reason),
  })
  return { intake, expected, tracks, samples, drops }
}

const bodies = (kind: 'video' | 'audio', ...texts: string[]) => {
  const records = intakeWithRecords()
  texts.forEach((text, i) => records.intake[kind](hex(text), 40 * i, NOW))
  return records
}

const FLAC = `664c6143 00000022 1000 1000 000000 000000 0ac442f0 00000000 ${'00'.repeat(16)}`
const OPUS_HEAD = '4f70757348656164 01 02 3801 80bb0000 0000 00'
const WAVE = (tag: string, channels: string, rate: string, perSecond: string, rest: string) =>
  hex(`${tag} ${channels} ${rate} ${perSecond} ${rest} 0000`)

describe('audio tracks', () => {
  test.each([
    ['AAC', ['af 00 1210', 'af 01 aa'], 'A_AAC', hex('1210'), 44_100, 2],
    ['Opus', [`90 4f707573 ${OPUS_HEAD}`, '91 4f707573 aa'], 'A_OPUS', hex(OPUS_HEAD), 48_000, 2],
    ['FLAC', [`90 664c6143 ${FLAC}`, '91 664c6143 aa'], 'A_FLAC', hex(FLAC), 44_100, 2],
    ['AC-3', ['91 61632d33 0b77b9fa 1e40 ebf8'], 'A_AC3', hex(''), 48_000, 6],
    ['AC-3 stereo', ['91 61632d33 0b77c2ea 5440 43e1'], 'A_AC3', hex(''), 44_100, 2],
    ['E-AC-3', ['91 65632d33 0b77037f 3f87 c000'], 'A_EAC3', hex(''), 48_000, 6],
    ['MP3', ['2f fffb9064'], 'A_MPEG/L3', hex(''), 44_100, 2],
    ['MP3 by FourCC', ['91 2e6d7033 fff384c4'], 'A_MPEG/L3', hex(''), 24_000, 1],
    [
      'G.711 A-law',
      ['72 d5d5'],
      'A_MS/ACM',
      WAVE('0600', '0100', '401f0000', '401f0000', '0100 0800'),
      8_000,
      1,
    ],
    [
      'G.711 mu-law',
      ['82 ffff'],
      'A_MS/ACM',
      WAVE('0700', '0100', '401f0000', '401f0000', '0100 0800'),
      8_000,
      1,
    ],
    [
      'Speex',
      ['b6 aabb'],
      'A_MS/ACM',
      WAVE('09a1', '0100', '803e0000', '00000000', '0100 0000'),
      16_000,
      1,
    ],
  ] as const)('%s', (_codec, texts, codecId, codecPrivate, sampleRateHz, channels) => {
    const { tracks, samples, drops } = bodies('audio', ...texts)

    expect(tracks).toEqual([
      {
        number: 2,
        kind: 'audio',
        codecId,
        codecPrivate,
        timescale: 1000,
        video: null,
        audio: { sampleRateHz, channels },
      },
    ])
    expect(samples).toMatchObject([{ trackNumber: 2, isKey: true, arrivedAt: NOW }])
    expect(drops).toEqual([])
  })

  test('sound of a codec that says everything itself is described once, and again when it changes', () => {
    const { tracks } = bodies('audio', '3f 0000', '3f 0000', '3d 00', '2f fffb9064', '2f fffb9064')

    expect(tracks.map(({ codecId }) => codecId)).toEqual([
      'A_PCM/INT/LIT',
      'A_PCM/INT/LIT',
      'A_MPEG/L3',
    ])
  })

  test('FLAC without its magic, as FFmpeg announces it, gets it', () => {
    const { tracks } = bodies('audio', `90 664c6143 ${FLAC.replace('664c6143 00000022', '')}`)

    const stored = Buffer.from(tracks[0]!.codecPrivate).toString('hex')
    expect(stored).toBe(FLAC.replace(' 00000022', '80000022').replaceAll(' ', ''))
  })

  test('PCM says its depth', () => {
    const { tracks } = bodies('audio', '3f 00000000')

    expect(tracks).toMatchObject([
      { codecId: 'A_PCM/INT/LIT', audio: { sampleRateHz: 44_100, channels: 2, bitDepth: 16 } },
    ])
  })

  test('several tracks of a message become tracks of their own; too many are counted', () => {
    const { tracks, samples, drops } = bodies(
      'audio',
      `95 20 6d703461 00 000002 1210 4f707573 01 000013 ${OPUS_HEAD}`,
      '95 21 6d703461 00 000001 aa 4f707573 01 000002 bbcc',
      '95 01 6d703461 10 aa',
    )

    expect(tracks.map((track) => [track.number, track.codecId])).toEqual([
      [2, 'A_AAC'],
      [3, 'A_OPUS'],
    ])
    expect(samples.map((each) => [each.trackNumber, each.data.length])).toEqual([
      [2, 1],
      [3, 2],
    ])
    expect(drops).toEqual(['further-audio-track'])
  })

  test('what does not begin as its codec says is dropped and counted', () => {
    expect(bodies('audio', '2f 0000', '91 61632d33 00').drops).toEqual([
      'malformed-sample',
      'malformed-sample',
    ])
  })

  test('Opus before its header is dropped and counted', () => {
    expect(bodies('audio', '91 4f707573 aa').drops).toEqual(['no-parameter-sets'])
  })

  test('a codec without a name becomes a data track with the bodies as they came', () => {
    const { tracks, samples } = bodies('audio', '6e aabb', '6e cc')

    expect(tracks).toMatchObject([{ number: 2, kind: 'data', codecId: 'D_FLV/AUDIO/6' }])
    expect(samples.map(({ data }) => data)).toEqual([hex('6eaabb'), hex('6ecc')])
  })
})

/** Beginnings of key frames of SVT-AV1, libvpx-vp9 (both 320 x 240) and libvpx (176 x 144). */
const AV1_KEY = '1200 0a0b 00000004 3cffbcfb f90040 3201ff'
const VP9_KEY = '82498342 0013f00e f6023824 1c18'
const VP8_KEY = 'f04c00 9d012a b000 9000 07'

describe('video tracks', () => {
  test('VP9 is described by its first key sample, with the features that Matroska wants', () => {
    const { tracks, samples } = bodies(
      'video',
      '90 76703039 00 14 82 02 02 02 0000',
      `91 76703039 ${VP9_KEY}`,
      'a1 76703039 86',
    )

    expect(tracks).toMatchObject([
      {
        number: 1,
        codecId: 'V_VP9',
        codecPrivate: hex('010100 020114 030108 040101'),
        video: { widthPx: 320, heightPx: 240 },
      },
    ])
    expect(samples.map(({ isKey }) => isKey)).toEqual([true, false])
  })

  test('VP8 needs no configuration', () => {
    const { tracks, samples } = bodies('video', `91 76703038 ${VP8_KEY}`)

    expect(tracks).toMatchObject([{ codecId: 'V_VP8', video: { widthPx: 176, heightPx: 144 } }])
    expect(samples).toHaveLength(1)
  })

  test.each([
    ['in its configuration', '90 61763031 81000c00 0a0b 00000004 3cffbcfb f90040'],
    ['in its first key sample', '90 61763031 81000c00'],
  ])('AV1 with its size %s is stored without temporal delimiters', (_where, config) => {
    const { tracks, samples } = bodies('video', config, `91 61763031 ${AV1_KEY}`)

    expect(tracks).toMatchObject([
      {
        codecId: 'V_AV1',
        codecPrivate: hex(config.slice(12)),
        video: { widthPx: 320, heightPx: 240 },
      },
    ])
    expect(samples.map(({ data }) => data)).toEqual([hex(AV1_KEY.slice(5))])
  })

  test('VVC takes its size from the metadata when its record has none', () => {
    const { intake, tracks } = intakeWithRecords()
    intake.metadata([
      'onMetaData',
      new Map([
        ['width', 640],
        ['height', 360],
      ]),
    ])
    intake.video(hex('90 76766331 fe'), 0, NOW)

    expect(tracks).toMatchObject([
      { codecId: 'V_MPEGI/ISO/VVC', video: { widthPx: 640, heightPx: 360 } },
    ])
  })

  test('a codec without a name becomes a data track that has its configuration', () => {
    const { tracks, samples, intake } = bodies('video', '90 78797a31 aabb', '91 78797a31 01')

    expect(tracks).toMatchObject([
      { number: 1, kind: 'data', codecId: 'D_FLV/VIDEO/xyz1', codecPrivate: hex('aabb') },
    ])
    expect(samples.map(({ data }) => data)).toEqual([hex('01')])
    expect(intake.progress).toBe(1)
  })

  test('samples of a codec that was not announced are dropped and counted', () => {
    const { intake, samples, drops } = intakeWithRecords()
    intake.video(avcHeader(), 0, NOW)
    intake.video(hex('91 68766331 000000 00000001 26'), 0, NOW)

    expect(samples).toEqual([])
    expect(drops).toEqual(['no-parameter-sets'])
  })

  test('samples that are neither behind lengths nor start codes are dropped and counted', () => {
    const { intake, drops } = intakeWithRecords()
    intake.video(avcHeader(), 0, NOW)
    intake.video(hex('17 01 000000 ffffffff'), 0, NOW)

    expect(drops).toEqual(['malformed-sample'])
  })
})

test('progress counts key samples of video, and samples where there is none', () => {
  const { intake } = intakeWithRecords()
  intake.audio(aacHeader(), 0, NOW)
  intake.audio(aacFrame(1), 0, NOW)
  expect(intake.progress).toBe(1)
  intake.video(avcHeader(), 0, NOW)
  intake.video(avcFrame({ isKey: true }), 0, NOW)
  intake.video(avcFrame({ isKey: false }), 40, NOW)
  intake.audio(aacFrame(1), 40, NOW)

  expect(intake.progress).toBe(2)
  expect(intake.samples).toBe(4)
})

test.each([
  ['both', { videocodecid: 7, audiocodecid: 10 }, ['video', 'audio']],
  ['video alone', { width: 640 }, ['video']],
  ['audio alone', { audiosamplerate: 48_000 }, ['audio']],
])('metadata say which tracks to wait for: %s', (_rule, properties, kinds) => {
  const { intake, expected } = intakeWithRecords()
  intake.metadata(['@setDataFrame', 'onMetaData', new Map(Object.entries(properties))])
  intake.metadata(['onTextData', new Map([['text', 'x']])])
  intake.metadata(['onCuePoint'])

  expect(expected).toEqual([kinds])
})

test('timestamps go on where 32 bits end, in both directions', () => {
  const time = new WrappingTimestamp()

  expect([0xffff_ff00, 0x10, 0xffff_fff0, 0x20].map((each) => time.unwrap(each))).toEqual([
    0xffff_ff00, 0x1_0000_0010, 0xffff_fff0, 0x1_0000_0020,
  ])
})

test('survives cut and mutated bodies of every codec', () => {
  const audio = [
    'af 00 1210',
    'af 01 aa',
    `90 4f707573 ${OPUS_HEAD}`,
    `90 664c6143 ${FLAC}`,
    '91 61632d33 0b77b9fa 1e40 ebf8',
    '91 65632d33 0b77037f 3f87 c000',
    '2f fffb9064',
    '72 d5d5',
    'b6 aabb',
    '3f 00000000',
    '6e aabb',
    `95 20 6d703461 00 000002 1210 4f707573 01 000013 ${OPUS_HEAD}`,
  ].map(hex)
  const video = [
    Buffer.from(avcHeader()).toString('hex'),
    Buffer.from(avcFrame({ isKey: true })).toString('hex'),
    '90 61763031 81000c00 0a0b 00000004 3cffbcfb f90040',
    `91 61763031 ${AV1_KEY}`,
    '90 76703039 00 14 82 02 02 02 0000',
    `91 76703039 ${VP9_KEY}`,
    `91 76703038 ${VP8_KEY}`,
    '90 76766331 ff 0000 5f 01 0233 80 00 00 0280 0168 0000',
    '96 13 68766331 01 000001 bb 00 000002 aacc',
  ].map(hex)

  expect(
    expectSurvives(audio, (body) => intakeWithRecords().intake.audio(body, 0, NOW)),
  ).toBeGreaterThan(1000)
  expect(
    expectSurvives(video, (body) => intakeWithRecords().intake.video(body, 0, NOW)),
  ).toBeGreaterThan(1000)
  // One intake for all: what one body left behind must not break the next.
  const { intake } = intakeWithRecords()
  expect(expectSurvives(video, (body) => intake.video(body, 0, NOW))).toBeGreaterThan(1000)
  expect(expectSurvives(audio, (body) => intake.audio(body, 0, NOW))).toBeGreaterThan(1000)
})
