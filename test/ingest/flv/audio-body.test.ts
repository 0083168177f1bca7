import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseFlvAudio, readSoundFlags } from '../../../src/ingest/flv/audio-body.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

const nothing = { type: 'nothing', dropped: null }
const config = (codec: string, record: string, trackId = 0) => ({
  type: 'config',
  codec,
  trackId,
  record: hex(record),
})
const sample = (codec: string, data: string, { flags = 0, trackId = 0 } = {}) => ({
  type: 'sample',
  codec,
  trackId,
  flags,
  data: hex(data),
})
const unknown = (codec: string, data: string, isConfig = false) => ({
  type: 'unknown',
  codec,
  isConfig,
  trackId: 0,
  data: hex(data),
})

const AUDIO = [
  ['AAC configuration', 'af 00 1210', config('aac', '1210')],
  ['AAC frame', 'af 01 aabb', sample('aac', 'aabb')],
  ['no body', '', nothing],
  ['no data', 'af 01', nothing],
  ['MP3', '2f aabb', sample('mp3', 'aabb', { flags: 0x2f })],
  ['MP3 at 8 kHz', 'ee aabb', sample('mp3', 'aabb', { flags: 0xee })],
  ['PCM', '3f aabb', sample('pcm', 'aabb', { flags: 0x3f })],
  ['PCM of the sender', '0f aabb', sample('pcm', 'aabb', { flags: 0x0f })],
  ['G.711 A-law', '72 aabb', sample('alaw', 'aabb', { flags: 0x72 })],
  ['G.711 mu-law', '82 aabb', sample('mulaw', 'aabb', { flags: 0x82 })],
  ['Speex', 'b6 aabb', sample('speex', 'aabb', { flags: 0xb6 })],
  ['legacy sound without data', '72', nothing],
  ['Nellymoser as it came', '6e aabb', unknown('6', '6eaabb')],
  ['mp4a SequenceStart', '90 6d703461 1210', config('aac', '1210')],
  ['mp4a CodedFrames', '91 6d703461 aa', sample('aac', 'aa')],
  ['SequenceEnd', '92 6d703461', nothing],
  ['MultichannelConfig', '94 6d703461 01 06 0000003f', nothing],
  ['Opus SequenceStart', '90 4f707573 aa', config('opus', 'aa')],
  ['Opus', '91 4f707573 aa', sample('opus', 'aa')],
  ['FLAC', '91 664c6143 aa', sample('flac', 'aa')],
  ['AC-3', '91 61632d33 aa', sample('ac3', 'aa')],
  ['E-AC-3', '91 65632d33 aa', sample('eac3', 'aa')],
  ['MP3 by FourCC', '91 2e6d7033 aa', sample('mp3', 'aa')],
  ['an unknown FourCC', '91 78797a31 aa', unknown('xyz1', 'aa')],
  ['the configuration of an unknown FourCC', '90 78797a31 aa', unknown('xyz1', 'aa', true)],
  ['ModEx', '97 02 000001 01 6d703461 aa', sample('aac', 'aa')],
  ['multitrack of one', '95 01 6d703461 03 aa', sample('aac', 'aa', { trackId: 3 })],
  [
    'multitrack of several with one codec',
    '95 11 6d703461 00 000001 aa 01 000002 bbcc',
    { type: 'several', parts: [sample('aac', 'aa'), sample('aac', 'bbcc', { trackId: 1 })] },
  ],
  [
    'multitrack of several with codecs of their own',
    '95 20 6d703461 00 000001 aa 4f707573 02 000001 bb',
    { type: 'several', parts: [config('aac', 'aa'), config('opus', 'bb', 2)] },
  ],
] as const

describe('parseFlvAudio (FLV 10.1 E.4.2, Enhanced RTMP v2)', () => {
  test.each(AUDIO)('%s', (_rule, body, expected) => {
    expect(parseFlvAudio(hex(body))).toEqual(expected)
  })

  test.each([
    ['AAC without a packet type', 'af'],
    ['a cut FourCC', '91 6d70'],
    ['more tracks than anybody sends', `95 11 6d703461 ${'01000000'.repeat(33)}`],
  ])('refuses %s', (_rule, body) => {
    expect(() => parseFlvAudio(hex(body))).toThrow(MalformedMediaError)
  })

  test('survives cut and mutated bodies', () => {
    const seeds = AUDIO.map(([, body]) => hex(body))

    expect(expectSurvives(seeds, parseFlvAudio)).toBeGreaterThan(1000)
  })
})

test.each([
  [0x3f, { sampleRateHz: 44_100, bitsPerSample: 16, channels: 2 }],
  [0x38, { sampleRateHz: 22_050, bitsPerSample: 8, channels: 1 }],
  [0x36, { sampleRateHz: 11_025, bitsPerSample: 16, channels: 1 }],
  [0x30, { sampleRateHz: 5_512, bitsPerSample: 8, channels: 1 }],
])('the flags of sound tag 0x%s', (flags, expected) => {
  expect(readSoundFlags(flags)).toEqual(expected)
})
