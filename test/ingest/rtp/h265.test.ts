import { describe, expect, test } from 'vitest'
import { parseHevcConfig } from '../../../src/media/nal/hevc-config.ts'
import { hex } from '../../support/fuzz.ts'
import { inSequence, NOW, openIntake, type MadePacket } from './recording-sink.ts'

/** By libx265, 322x242; sps_max_num_reorder_pics is 2. */
const VPS = hex('40010c01ffff01600000030090000003000003003c959809')
const SPS = hex(
  '42010101600000030090000003000003003ca00a480f9c9265959a4932bc05a020000003002000000303 21'.replace(
    ' ',
    '',
  ),
)
const PPS = hex('4401c172b46240')
const SEI = hex('4e01051122')
/** first_slice_segment_in_pic_flag is the first bit behind the header of two bytes. */
const IDR = hex('2601af1122334455')
const P = hex('0201d0aabbccddee')
const P_REST = hex('020150ffeedd')

const SDP = 'm=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n'
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const SETS = `sprop-vps=${base64(VPS)};sprop-sps=${base64(SPS)};sprop-pps=${base64(PPS)}`
const WITH_SETS = `${SDP}a=fmtp:96 ${SETS}\n`
const WITH_DON = `${SDP}a=fmtp:96 sprop-max-don-diff=2;${SETS}\n`

const units = (...each: Uint8Array[]) =>
  Buffer.concat(
    each.flatMap((unit) => [Uint8Array.of(0, 0, unit.length >> 8, unit.length & 0xff), unit]),
  )

const size = (unit: Uint8Array) => Uint8Array.of(unit.length >> 8, unit.length & 0xff)
const joined = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))
const aggregation = (...each: Uint8Array[]) =>
  joined(hex('6001'), ...each.flatMap((unit) => [size(unit), unit]))
const fragment = (unit: Uint8Array, flags: number, from: number, to: number) =>
  joined(hex('6201'), Uint8Array.of(flags | ((unit[0]! >> 1) & 0x3f)), unit.subarray(from, to))
const START = 0x80
const END = 0x40

const frame = (timestamp: number, ...payloads: Uint8Array[]): MadePacket[] =>
  payloads.map((payload, i) => ({ payload, timestamp, marker: i === payloads.length - 1 }))

function play(sdp: string, packets: Iterable<MadePacket>, lost: readonly number[] = []) {
  const opened = openIntake(sdp)
  let at = 0
  for (const packet of inSequence(packets)) {
    if (!lost.includes(at++)) opened.intake.rtp(0, packet, NOW)
  }
  opened.intake.flush()
  return opened.sink
}

describe('H.265 in RTP (RFC 7798)', () => {
  test('single NAL units, aggregation packets and fragmentation units', () => {
    const { samples, tracks } = play(WITH_SETS, [
      ...frame(0, SEI, IDR),
      ...frame(3000, aggregation(SEI, P, P_REST)),
      ...frame(6000, fragment(P, START, 2, 4), fragment(P, 0, 4, 6), fragment(P, END, 6, 8)),
    ])

    expect(samples.map(({ data }) => Buffer.from(data))).toEqual([
      units(SEI, IDR),
      units(SEI, P, P_REST),
      units(P),
    ])
    expect(samples.map(({ isKey }) => isKey)).toEqual([true, false, false])
    expect(tracks).toMatchObject([
      { number: 1, codecId: 'V_MPEGH/ISO/HEVC', video: { widthPx: 322, heightPx: 242 } },
    ])
    expect(parseHevcConfig(tracks[0]!.codecPrivate).nalUnits.map(({ type }) => type)).toEqual([
      32, 33, 34,
    ])
  })

  test('with DON fields, which stand before each unit', () => {
    const don = hex('0001')
    const withDon = (unit: Uint8Array) => joined(unit.subarray(0, 2), don, unit.subarray(2))
    const { samples } = play(WITH_DON, [
      ...frame(0, withDon(IDR)),
      ...frame(3000, joined(hex('6001'), don, size(P), P, hex('01'), size(P_REST), P_REST)),
      ...frame(
        6000,
        joined(fragment(P, START, 2, 2), don, P.subarray(2, 4)),
        fragment(P, END, 4, 8),
      ),
    ])

    expect(samples.map(({ data }) => Buffer.from(data))).toEqual([
      units(IDR),
      units(P, P_REST),
      units(P),
    ])
  })

  test('parameter sets in the media, and new ones', () => {
    const { samples, tracks } = play(SDP, [
      ...frame(0, P),
      ...frame(3000, aggregation(VPS, SPS, PPS), IDR),
      ...frame(6000, aggregation(VPS, SPS, PPS), IDR),
    ])

    expect(samples.map(({ data }) => Buffer.from(data))).toEqual([units(IDR), units(IDR)])
    expect(tracks).toHaveLength(1)
  })

  test.each([
    ['a trailing picture', '0201', false],
    ['BLA', '2001', true],
    ['IDR without leading pictures', '2801', true],
    ['CRA', '2a01', true],
    ['RASL', '1201', false],
  ])('%s: key or not', (_rule, header, isKey) => {
    const slice = hex(`${header}${isKey ? 'af' : 'd0'}1122`)
    const { samples } = play(WITH_SETS, [...frame(0, slice), ...frame(3000, P)])

    expect(samples[0]!.isKey).toBe(isKey)
  })

  test.each([
    ['a fragment in the middle', [2], [0, 2]],
    ['the first slice', [4], [0, 1]],
    ['the rest of a picture', [5], [0, 1]],
  ])('a loss of %s takes one picture', (_rule, lost, kept) => {
    const media = [
      ...frame(0, IDR),
      ...frame(3000, fragment(P, START, 2, 4), fragment(P, 0, 4, 6), fragment(P, END, 6, 8)),
      ...frame(6000, P, P_REST),
      ...frame(9000, P),
    ]
    const whole = [units(IDR), units(P), units(P, P_REST)]
    const { samples, drops } = play(WITH_SETS, media, lost)

    expect(samples.map(({ data }) => Buffer.from(data))).toEqual([
      ...kept.map((i) => whole[i]!),
      units(P),
    ])
    expect([...drops]).toEqual([['packet-loss', 1]])
  })
})
