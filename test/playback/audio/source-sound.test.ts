import { describe, expect, test } from 'vitest'
import {
  CODEC_AAC,
  CODEC_ACM,
  CODEC_OPUS,
  CODEC_PCM_LITTLE_ENDIAN,
  type Track,
} from '../../../src/domain/track.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../../src/media/pcm/wave-format.ts'
import { toAacSampleRate, toPlayedTracks } from '../../../src/playback/audio/source-sound.ts'

const track = (codecId: string, more: Partial<Track> = {}): Track => ({
  number: 2,
  kind: 'audio',
  codecId,
  codecPrivate: new Uint8Array(0),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 8000, channels: 1 },
  ...more,
})
const wave = (tag: number) =>
  track(CODEC_ACM, {
    codecPrivate: toWaveFormatEx({ tag, channels: 1, sampleRateHz: 8000, bitsPerSample: 8 }),
  })

test.each([
  [8000, 16_000],
  [11_025, 22_050],
  [12_000, 24_000],
  [16_000, 16_000],
  [44_100, 44_100],
  [48_000, 48_000],
  [96_000, 48_000],
  [7000, 16_000],
])('sound of %i Hz is AAC of %i Hz', (sampleRateHz, aacRateHz) => {
  expect(toAacSampleRate(sampleRateHz)).toBe(aacRateHz)
})

describe('toPlayedTracks', () => {
  test.each([
    { rule: 'A-law', source: wave(WAVE_FORMAT.alaw) },
    { rule: 'µ-law', source: wave(WAVE_FORMAT.mulaw) },
    { rule: 'G.722', source: wave(WAVE_FORMAT.g722) },
    { rule: 'Opus', source: track(CODEC_OPUS) },
    { rule: 'PCM', source: track(CODEC_PCM_LITTLE_ENDIAN) },
  ])('describes $rule as the AAC that it becomes', ({ source }) => {
    expect(toPlayedTracks([source])).toEqual([
      {
        ...source,
        codecId: CODEC_AAC,
        codecPrivate: Uint8Array.of(0x14, 0x08), // AAC LC, 16 kHz, mono
        audio: { sampleRateHz: 16_000, channels: 1 },
      },
    ])
  })

  test.each([
    { rule: 'what has AAC', tracks: [wave(WAVE_FORMAT.alaw), track(CODEC_AAC, { number: 3 })] },
    { rule: 'what no decoder is known for', tracks: [wave(WAVE_FORMAT.speex)] },
    {
      rule: 'more than two channels',
      tracks: [track(CODEC_OPUS, { audio: { sampleRateHz: 48_000, channels: 6 } })],
    },
    { rule: 'private data that is cut off', tracks: [track(CODEC_ACM)] },
  ])('leaves $rule alone', ({ tracks }) => {
    expect(toPlayedTracks(tracks)).toBe(tracks)
  })
})
