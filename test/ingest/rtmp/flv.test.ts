import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseAggregate, parseFlvAudio, parseFlvVideo } from '../../../src/ingest/rtmp/flv.ts'
import { hex, mutations } from '../../support/rtmp-fuzz.ts'

const nothing = { type: 'nothing' }
const sample = (codec: string, isKey: boolean, compositionMs: number, data: string) => ({
  type: 'sample',
  codec,
  isKey,
  compositionMs,
  data: hex(data),
})

const VIDEO = [
  ['AVC configuration', '17 00 000000 aabb', { type: 'config', codec: 'avc', record: hex('aabb') }],
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
  ['H.263', '22 aa', { type: 'unsupported', codec: 'Sorenson H.263' }],
  ['an unknown codec id', '2f aa', { type: 'unsupported', codec: 'codec id 15' }],
  // By FourCC: 1 | frame type 3 | packet type 4.
  [
    'hvc1 SequenceStart',
    '90 68766331 aabb',
    { type: 'config', codec: 'hevc', record: hex('aabb') },
  ],
  ['hvc1 CodedFrames', '91 68766331 ffffd8 aa', sample('hevc', true, -40, 'aa')],
  [
    'hvc1 CodedFramesX has no composition time',
    'a3 68766331 aabbcc',
    sample('hevc', false, 0, 'aabbcc'),
  ],
  ['avc1 CodedFrames', '91 61766331 000021 aa', sample('avc', true, 33, 'aa')],
  ['SequenceEnd', '92 68766331', nothing],
  ['HDR metadata', '94 68766331 0200', nothing],
  ['a command frame', 'd0 00', nothing],
  ['av01', '90 61763031 00', { type: 'unsupported', codec: 'av01' }],
  ['vp09', '90 76703039 00', { type: 'unsupported', codec: 'vp09' }],
  ['vvc1', '90 76766331 00', { type: 'unsupported', codec: 'vvc1' }],
  // ModEx: size - 1, data, then 4 bits of its type and the packet type proper.
  ['ModEx with nanoseconds', '97 02 0000ff 01 68766331 000000 aa', sample('hevc', true, 0, 'aa')],
  ['ModEx twice', '97 00 11 07 00 22 03 68766331 aa', sample('hevc', true, 0, 'aa')],
  ['ModEx with a 16-bit size', `97 ff 0001 0000 03 68766331 aa`, sample('hevc', true, 0, 'aa')],
  // Multitrack: 4 bits of its type and the packet type proper.
  ['one track', '96 01 68766331 00 000000 aa', sample('hevc', true, 0, 'aa')],
  ['one track, another', '96 01 68766331 01 000000 aa', nothing],
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

const AUDIO = [
  ['AAC configuration', 'af 00 1210', { type: 'config', record: hex('1210') }],
  ['AAC frame', 'af 01 aabb', { type: 'sample', data: hex('aabb') }],
  ['no body', '', nothing],
  ['MP3', '2f aabb', { type: 'unsupported', codec: 'MP3' }],
  ['G.711', '7f aabb', { type: 'unsupported', codec: 'G.711 A-law' }],
  ['mp4a SequenceStart', '90 6d703461 1210', { type: 'config', record: hex('1210') }],
  ['mp4a CodedFrames', '91 6d703461 aa', { type: 'sample', data: hex('aa') }],
  ['Opus', '91 4f707573 aa', { type: 'unsupported', codec: 'Opus' }],
  ['ModEx', '97 02 000001 01 6d703461 aa', { type: 'sample', data: hex('aa') }],
  ['multitrack', '95 11 6d703461 00 000001 aa', { type: 'sample', data: hex('aa') }],
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
  ])('refuses %s', (_rule, body) => {
    expect(() => parseFlvVideo(hex(body))).toThrow(MalformedMediaError)
  })
})

describe('parseFlvAudio (FLV 10.1 E.4.2, Enhanced RTMP v2)', () => {
  test.each(AUDIO)('%s', (_rule, body, expected) => {
    expect(parseFlvAudio(hex(body))).toEqual(expected)
  })

  test.each([
    ['AAC without a packet type', 'af'],
    ['a cut FourCC', '91 6d70'],
  ])('refuses %s', (_rule, body) => {
    expect(() => parseFlvAudio(hex(body))).toThrow(MalformedMediaError)
  })
})

test('bodies are cut anywhere and mutated 20,000 times: a value or an error of our own', () => {
  const seeds = [...VIDEO, ...AUDIO].map(([, body]) => hex(body))
  const cuts = seeds.flatMap((seed) => Array.from(seed, (_, end) => seed.subarray(0, end)))
  for (const body of [...cuts, ...mutations(seeds, 20_000)]) {
    for (const parse of [parseFlvVideo, parseFlvAudio]) {
      try {
        parse(body)
      } catch (error) {
        if (!(error instanceof MalformedMediaError)) throw error
      }
    }
  }
})

describe('parseAggregate (RTMP 1.0 §7.1.6)', () => {
  const AGGREGATE =
    '08 000002 0003e8 00 000000 af01 0000000d' + '09 000001 0003f0 01 000000 27 0000000c'

  test('gives its messages times relative to the aggregate', () => {
    expect(parseAggregate(hex(AGGREGATE), 5000)).toEqual([
      { typeId: 8, timestamp: 5000, payload: hex('af01') },
      { typeId: 9, timestamp: 5000 + 8 + 0x100_0000, payload: hex('27') },
    ])
  })

  test('a last back pointer may be missing', () => {
    expect(parseAggregate(hex(AGGREGATE).subarray(0, -4), 0)).toHaveLength(2)
  })

  test.each([
    ['a size that lies', '09 ffffff 000000 00 000000 27'],
    ['a cut header', '09 000001 0000'],
    ['more messages than anybody sends', '09 000000 000000 00 000000 00000000'.repeat(1025)],
  ])('refuses %s', (_rule, body) => {
    expect(() => parseAggregate(hex(body), 0)).toThrow(MalformedMediaError)
  })

  test('survives 20,000 mutated inputs', () => {
    for (const body of mutations([hex(AGGREGATE)], 20_000)) {
      try {
        parseAggregate(body, 0)
      } catch (error) {
        if (!(error instanceof MalformedMediaError)) throw error
      }
    }
  })
})
