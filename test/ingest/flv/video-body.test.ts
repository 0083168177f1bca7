import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseFlvVideo } from '../../../src/ingest/flv/video-body.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

const nothing = { type: 'nothing', dropped: null }
const config = (codec: string, record: string) => ({ type: 'config', codec, record: hex(record) })
const unknown = (codec: string, data: string, isConfig = false) => ({
  type: 'unknown',
  codec,
  isConfig,
  data: hex(data),
})
const sample = (codec: string, isKey: boolean, compositionMs: number, data: string) => ({
  type: 'sample',
  codec,
  isKey,
  compositionMs,
  data: hex(data),
})

const VIDEO = [
  ['AVC configuration', '17 00 000000 aabb', config('avc', 'aabb')],
  ['AVC key frame', '17 01 0000c8 aabb', sample('avc', true, 200, 'aabb')],
  ['AVC inter frame', '27 01 000000 aa', sample('avc', false, 0, 'aa')],
  ['composition time is signed: -1', '27 01 ffffff aa', sample('avc', false, -1, 'aa')],
  ['composition time is signed: -2^23', '27 01 800000 aa', sample('avc', false, -8_388_608, 'aa')],
  [
    'composition time is signed: 2^23 - 1',
    '27 01 7fffff aa',
    sample('avc', false, 8_388_607, 'aa'),
  ],
  ['end of sequence', '17 02 000000', nothing],
  ['command frame', '57 00', nothing],
  ['no body', '', nothing],
  ['no data', '27 01 000000', nothing],
  ['HEVC as codec id 12', '1c 01 000028 aa', sample('hevc', true, 40, 'aa')],
  ['H.263 as it came', '22 aa', unknown('2', '22aa')],
  ['AV1 as codec id 13 as it came', '1d 01 aa', unknown('13', '1d01aa')],
  ['an unknown codec id', '2f aa', unknown('15', '2faa')],
  // By FourCC: 1 | frame type 3 | packet type 4.
  ['hvc1 SequenceStart', '90 68766331 aabb', config('hevc', 'aabb')],
  ['hvc1 CodedFrames', '91 68766331 ffffd8 aa', sample('hevc', true, -40, 'aa')],
  [
    'hvc1 CodedFramesX has no composition time',
    'a3 68766331 aabbcc',
    sample('hevc', false, 0, 'aabbcc'),
  ],
  ['avc1 SequenceStart', '90 61766331 aa', config('avc', 'aa')],
  ['avc1 CodedFrames', '91 61766331 000021 aa', sample('avc', true, 33, 'aa')],
  ['vvc1 SequenceStart', '90 76766331 aa', config('vvc', 'aa')],
  ['vvc1 CodedFrames', 'a1 76766331 ffffff aa', sample('vvc', false, -1, 'aa')],
  ['av01 SequenceStart', '90 61763031 aa', config('av1', 'aa')],
  ['av01 has no composition time', '91 61763031 000021 aa', sample('av1', true, 0, '000021aa')],
  ['vp09 SequenceStart', '90 76703039 aa', config('vp9', 'aa')],
  ['vp09 has no composition time', 'a1 76703039 aabb', sample('vp9', false, 0, 'aabb')],
  ['vp08', '91 76703038 aabb', sample('vp8', true, 0, 'aabb')],
  ['SequenceEnd', '92 68766331', nothing],
  ['HDR metadata', '94 68766331 0200', nothing],
  ['AV1 for MPEG-2 TS', '95 61763031 00', nothing],
  ['a command frame', 'd0 00', nothing],
  ['an unknown FourCC', 'a1 78797a31 aa', unknown('xyz1', 'aa')],
  ['the configuration of an unknown FourCC', '90 78797a31 aa', unknown('xyz1', 'aa', true)],
  ['a FourCC that is no text', 'a1 00ff2009 aa', unknown('00ff2009', 'aa')],
  // ModEx: size - 1, data, then 4 bits of its type and the packet type proper.
  ['ModEx with nanoseconds', '97 02 0000ff 01 68766331 000000 aa', sample('hevc', true, 0, 'aa')],
  ['ModEx twice', '97 00 11 07 00 22 03 68766331 aa', sample('hevc', true, 0, 'aa')],
  ['ModEx with a 16-bit size', `97 ff 0001 0000 03 68766331 aa`, sample('hevc', true, 0, 'aa')],
  // Multitrack: 4 bits of its type and the packet type proper.
  ['one track', '96 01 68766331 00 000000 aa', sample('hevc', true, 0, 'aa')],
  [
    'one track, another',
    '96 01 68766331 01 000000 aa',
    { type: 'nothing', dropped: 'further-video-track' },
  ],
  [
    'many tracks: the first is kept',
    '96 13 68766331 01 000001 bb 00 000002 aacc',
    sample('hevc', true, 0, 'aacc'),
  ],
  [
    'many tracks and codecs',
    '96 23 61763031 01 000001 bb 68766331 00 000001 aa',
    sample('hevc', true, 0, 'aa'),
  ],
] as const

describe('parseFlvVideo (FLV 10.1 E.4.3, Enhanced RTMP v2)', () => {
  test.each(VIDEO)('%s', (_rule, body, expected) => {
    expect(parseFlvVideo(hex(body))).toEqual(expected)
  })

  test.each([
    ['a cut AVC header', '17 01 0000'],
    ['a cut FourCC', '91 6876'],
    ['a cut composition time', '91 68766331 00'],
    ['a ModEx longer than the body', '97 ff ffff 00'],
    ['a track longer than the body', '96 13 68766331 00 ffffff aa'],
    ['a cut multitrack header', '96'],
    ['more tracks than anybody sends', `96 13 68766331 ${'01000000'.repeat(33)}`],
  ])('refuses %s', (_rule, body) => {
    expect(() => parseFlvVideo(hex(body))).toThrow(MalformedMediaError)
  })

  test('survives cut and mutated bodies', () => {
    const seeds = VIDEO.map(([, body]) => hex(body))

    expect(expectSurvives(seeds, parseFlvVideo)).toBeGreaterThan(1000)
  })
})
