import { describe, expect, test } from 'vitest'
import { parseAvcConfig } from '../../../src/media/nal/avc-config.ts'
import { hex } from '../../support/fuzz.ts'
import { inSequence, NOW, openIntake, rtpPacket, type MadePacket } from './recording-sink.ts'

/** By libx264, 322x242; another by it, 64x64; and a third, 1920x1080. */
const SPS = hex('674d400deca0a843c4446022000003000200000300781e28532c')
const PPS = hex('68ebe3cb20')
const SMALL_SPS = hex('6742c00ad90426c044000003000400000300c83c489920')
const SMALL_PPS = hex('68cb83cb20')
const SEI = hex('0605112233')

/** Slice headers by hand: first_mb_in_slice, slice_type and pic_parameter_set_id in Exp-Golomb. */
const IDR = hex('658880aabbcc')
const IDR_REST = hex('6508a2ddeeff') // first_mb_in_slice 15
const P = hex('419a800102')
const P_REST = hex('4108cd0304') // first_mb_in_slice 15

const SDP = 'm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n'
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const WITH_SETS = `${SDP}a=fmtp:96 sprop-parameter-sets=${base64(SPS)},${base64(PPS)}\n`

/** Length-prefixed, as samples are. */
const units = (...each: Uint8Array[]) =>
  Buffer.concat(
    each.flatMap((unit) => [Uint8Array.of(0, 0, unit.length >> 8, unit.length & 0xff), unit]),
  )

function stapA(...each: Uint8Array[]): Uint8Array {
  const parts = each.flatMap((unit) => [Uint8Array.of(unit.length >> 8, unit.length & 0xff), unit])
  return Uint8Array.from(Buffer.concat([Uint8Array.of(0x78), ...parts]))
}

const fuA = (unit: Uint8Array, flags: number, from: number, to: number) =>
  Uint8Array.from([(unit[0]! & 0x60) | 28, flags | (unit[0]! & 0x1f), ...unit.subarray(from, to)])
const START = 0x80
const END = 0x40

function play(sdp: string, packets: Iterable<MadePacket>, lost: readonly number[] = []) {
  const opened = openIntake(sdp)
  let at = 0
  for (const packet of inSequence(packets))
    if (!lost.includes(at++)) opened.intake.rtp(0, packet, NOW)
  opened.intake.flush()
  const { sink } = opened
  return {
    ...opened,
    data: sink.samples.map((sample) => Buffer.from(sample.data).toString('hex')),
    expected: (...each: Buffer[]) => each.map((bytes) => bytes.toString('hex')),
  }
}

const frame = (timestamp: number, ...payloads: Uint8Array[]): MadePacket[] =>
  payloads.map((payload, i) => ({ payload, timestamp, marker: i === payloads.length - 1 }))

describe('H.264 in RTP (RFC 6184)', () => {
  test('single NAL units, STAP-A and FU-A become one sample each, behind lengths', () => {
    const { sink, data, expected, intake } = play(WITH_SETS, [
      ...frame(0, SEI, IDR),
      ...frame(3000, stapA(SEI, P)),
      ...frame(6000, fuA(P, START, 1, 2), fuA(P, 0, 2, 3), fuA(P, END, 3, 9)),
    ])

    expect(data).toEqual(expected(units(SEI, IDR), units(SEI, P), units(P)))
    expect(sink.samples.map(({ pts, isKey }) => [pts, isKey])).toEqual([
      [0, true],
      [3000, false],
      [6000, false],
    ])
    expect(intake.keyFrames).toBe(1)
    expect(sink.expected).toEqual(['video'])
  })

  test('the track comes from the SDP before the first picture', () => {
    const { sink } = play(WITH_SETS, [...frame(0, IDR), ...frame(3000, P)])

    expect(sink.tracks).toMatchObject([
      { number: 1, kind: 'video', timescale: 90_000, video: { widthPx: 322, heightPx: 242 } },
    ])
    const { sps, pps, nalLengthBytes } = parseAvcConfig(sink.tracks[0]!.codecPrivate)
    expect(Buffer.concat([...sps, ...pps])).toEqual(Buffer.concat([SPS, PPS]))
    expect(nalLengthBytes).toBe(4)
  })

  test('without parameter sets in the SDP those in the media are taken, and leave the samples', () => {
    const { sink, data, expected } = play(SDP, [
      ...frame(0, P),
      ...frame(3000, SPS, PPS, IDR),
      ...frame(6000, SPS, PPS, P),
    ])

    expect(data).toEqual(expected(units(IDR), units(P)))
    expect(sink.tracks).toHaveLength(1)
    expect([...sink.drops]).toEqual([['no-parameter-sets', 1]])
  })

  test('parameter sets in the media replace those of the SDP, which some cameras get wrong', () => {
    const { sink } = play(WITH_SETS, frame(0, SMALL_SPS, SMALL_PPS, IDR))

    expect(sink.tracks.at(-1)!.video).toEqual({ widthPx: 64, heightPx: 64 })
    expect(parseAvcConfig(sink.tracks.at(-1)!.codecPrivate).sps).toHaveLength(1)
  })

  test('new parameter sets in mid-stream describe the track again, before their key picture', () => {
    const order: string[] = []
    const { sink, intake } = openIntake(WITH_SETS)
    sink.describe = (track) => void order.push(`${track.video!.widthPx}`)
    sink.write = (sample) => void order.push(sample.isKey ? 'key' : 'other')
    const media = [
      ...frame(0, SPS, PPS, IDR),
      ...frame(3000, P),
      ...frame(6000, SMALL_SPS, SMALL_PPS, IDR),
      ...frame(9000, SMALL_SPS, SMALL_PPS, IDR),
    ]
    for (const packet of inSequence(media)) intake.rtp(0, packet, NOW)

    expect(order).toEqual(['322', 'key', 'other', '64', 'key', 'key'])
  })

  test('parameter sets that change between key pictures stay in the sample until the next', () => {
    const { sink, data, expected } = play(WITH_SETS, [
      ...frame(0, IDR),
      ...frame(3000, SMALL_SPS, SMALL_PPS, P),
      ...frame(6000, IDR),
    ])

    expect(data).toEqual(expected(units(IDR), units(SMALL_SPS, SMALL_PPS, P), units(IDR)))
    expect(sink.tracks.map((track) => track.video!.widthPx)).toEqual([322, 64])
  })

  test('parameter sets of a picture that is lost are in force for those behind it', () => {
    const { sink } = play(
      SDP,
      [...frame(0, SPS, PPS, IDR, IDR_REST, IDR_REST), ...frame(3000, P), ...frame(6000, P)],
      [3],
    )

    expect(sink.tracks).toHaveLength(1)
    expect(sink.samples.map(({ pts }) => pts)).toEqual([3000, 6000])
  })

  test('an SPS whose frame rate is a lie stretches no decode times', () => {
    const lying = hex('6701400dcfa0a843c4446022000003000200000300781e285301')
    const { sink } = play(SDP, [...frame(0, lying, PPS, IDR), ...frame(3000, P)])

    expect(sink.samples).toHaveLength(2)
    expect(sink.samples.every(({ pts, dts }) => dts <= pts && dts > pts - 90_000)).toBe(true)
  })

  test('junk behind an SPS does not matter', () => {
    const { sink } = play(SDP, frame(0, Uint8Array.from([...SPS, 0, 0, 0xde, 0xad]), PPS, IDR))

    expect(sink.tracks[0]!.video).toEqual({ widthPx: 322, heightPx: 242 })
    expect(sink.samples).toHaveLength(1)
  })

  const annexB = (...each: Uint8Array[]) =>
    Uint8Array.from(Buffer.concat(each.flatMap((unit) => [Uint8Array.of(0, 0, 0, 1), unit])))

  test('Annex B in a packet is split on its start codes', () => {
    const { data, expected, sink } = play(SDP, [
      ...frame(0, annexB(SPS, PPS, IDR)),
      ...frame(3000, Uint8Array.from([...SEI, 0, 0, 1, ...P])),
    ])

    expect(data).toEqual(expected(units(IDR), units(SEI, P)))
    expect(sink.tracks).toHaveLength(1)
  })

  test.each([
    [
      'an empty FU between',
      [fuA(P, START, 1, 3), Uint8Array.of(0x5c), fuA(P, 0, 0, 0), fuA(P, END, 3, 9)],
    ],
    [
      'an FU with another inner type',
      [fuA(P, START, 1, 3), Uint8Array.from([0x5c, END | 5, ...P.subarray(3)])],
    ],
    ['an FU without an end', [fuA(P, START, 1, 3), fuA(P, 0, 3, 9)]],
    ['an FU that begins and ends at once', [fuA(P, START | END, 1, 9)]],
    ['an access unit delimiter and filler', [hex('0910'), P, hex('0cffff80')]],
    ['a reserved NAL unit type', [P, hex('1f0102')]],
    ['an empty packet', [P, new Uint8Array(0)]],
  ])('%s changes nothing', (_rule, payloads) => {
    const { data, expected } = play(WITH_SETS, [...frame(0, IDR), ...frame(3000, ...payloads)])

    expect(data).toEqual(expected(units(IDR), units(P)))
  })

  test.each([
    ['STAP-A whose size lies', [hex('78 00ff 4100')]],
    ['STAP-B, of mode 2', [hex('79 0001 0002 4100'), P]],
    ['FU-A that does not begin', [fuA(P, END, 3, 9)]],
  ])('%s: the picture is dropped and counted, the next one is not', (_rule, payloads) => {
    const { data, expected, sink, intake } = play(WITH_SETS, [
      ...frame(0, IDR),
      ...frame(3000, ...payloads),
      ...frame(6000, P),
    ])

    expect(data).toEqual(expected(units(IDR), units(P)))
    expect([...sink.drops]).toEqual([['malformed-sample', 1]])
    expect(intake.stats()[0]!.malformed).toBe(1)
  })

  describe('where a picture ends', () => {
    test('a change of timestamp ends it when no marker comes', () => {
      const { data, expected } = play(WITH_SETS, [
        { payload: IDR, timestamp: 0 },
        { payload: P, timestamp: 3000 },
        { payload: P_REST, timestamp: 3000 },
        { payload: P, timestamp: 6000 },
      ])

      expect(data).toEqual(expected(units(IDR), units(P, P_REST), units(P)))
    })

    test('a marker on SEI ends nothing', () => {
      const { data, expected } = play(WITH_SETS, [
        { payload: SEI, timestamp: 0, marker: true },
        ...frame(0, IDR),
      ])

      expect(data).toEqual(expected(units(SEI, IDR)))
    })

    test('parameter sets with a timestamp of their own belong to the next picture', () => {
      const { data, expected, sink } = play(SDP, [
        { payload: SPS, timestamp: 0, marker: true },
        { payload: PPS, timestamp: 0, marker: true },
        ...frame(3000, IDR),
      ])

      expect(data).toEqual(expected(units(IDR)))
      expect(sink.samples[0]!.pts).toBe(3000)
    })

    test('a marker on every slice is found out after one picture', () => {
      const sliced = (timestamp: number, first: Uint8Array, rest: Uint8Array): MadePacket[] => [
        { payload: first, timestamp, marker: true },
        { payload: rest, timestamp, marker: true },
      ]
      const { data, expected, sink } = play(WITH_SETS, [
        ...sliced(0, IDR, IDR_REST),
        ...sliced(3000, P, P_REST),
        ...sliced(6000, P, P_REST),
      ])

      expect(data).toEqual(expected(units(IDR), units(P, P_REST), units(P, P_REST)))
      expect([...sink.drops]).toEqual([['malformed-sample', 1]])
    })

    test('two fields of one timestamp are two samples once, then one', () => {
      const { sink } = play(WITH_SETS, [
        ...frame(0, IDR),
        ...frame(0, P),
        ...frame(3000, P),
        ...frame(3000, P),
      ])

      expect(sink.samples.map(({ pts, data }) => [pts, data.length])).toEqual([
        [0, 10],
        [1, 9],
        [3000, 18],
      ])
    })
  })

  describe('what a loss takes', () => {
    const media = [
      ...frame(0, IDR), // 0
      ...frame(3000, P, P_REST), // 1, 2
      ...frame(6000, fuA(P, START, 1, 2), fuA(P, 0, 2, 3), fuA(P, END, 3, 9)), // 3, 4, 5
      ...frame(9000, P), // 6
    ]
    const whole = [units(IDR), units(P, P_REST), units(P), units(P)]

    test.each([
      ['a picture whole', [6], [0, 1, 2], 0],
      ['the first slice', [1], [0, 2, 3], 1],
      ['the last slice, with the marker', [2], [0, 2, 3], 1],
      ['a fragment in the middle', [4], [0, 1, 3], 1],
      ['the first fragment', [3], [0, 1, 3], 1],
      ['the last fragment', [5], [0, 1, 3], 1],
      ['the end of one picture and the start of the next', [2, 3], [0, 3], 2],
      ['everything between two pictures', [1, 2, 3, 4, 5], [0, 3], 0],
    ])('%s', (_rule, lost, kept, drops) => {
      const { data, expected, sink, intake } = play(WITH_SETS, media, lost)

      expect(data).toEqual(expected(...kept.map((i) => whole[i]!)))
      expect(sink.drops.get('packet-loss') ?? 0).toBe(drops)
      const isSeen = !lost.includes(media.length - 1)
      expect(intake.stats()[0]!.lost).toBe(isSeen ? lost.length : 0)
      expect(sink.losses).toEqual(isSeen ? [1] : [])
    })
  })

  test('a stream without IDR pictures begins at its recovery points', () => {
    const recovery = hex('060601c480') // payload type 6, recovery_frame_cnt ue(0)
    const I = hex('418880aabb')
    const keys = (...media: MadePacket[]) =>
      play(WITH_SETS, media).sink.samples.map((each) => each.isKey)

    expect(keys(...frame(0, recovery, I), ...frame(3000, P))).toEqual([true, false])
    expect(keys(...frame(0, IDR), ...frame(3000, recovery, I))).toEqual([true, false])
    expect(keys(...frame(0, I), ...frame(3000, P))).toEqual([false, false])
  })

  test('a picture larger than 8 MiB is dropped, and the memory with it', () => {
    const part = Uint8Array.from([0x5c, 0x01, ...new Uint8Array(60_000).fill(0x55)])
    const huge: MadePacket[] = [{ payload: fuA(P, START, 1, 3), timestamp: 3000 }]
    for (let i = 0; i < 150; i++) huge.push({ payload: part, timestamp: 3000 })
    const { data, expected, sink } = play(WITH_SETS, [...frame(0, IDR), ...huge, ...frame(6000, P)])

    expect(data).toEqual(expected(units(IDR), units(P)))
    expect([...sink.drops]).toEqual([['sample-too-large', 1]])
  })

  test('samples do not change when the buffer that they came in does', () => {
    const { sink, intake } = openIntake(WITH_SETS)
    for (const packet of inSequence([...frame(0, IDR), ...frame(3000, P)])) {
      intake.rtp(0, packet, NOW)
      packet.fill(0)
    }

    expect(sink.samples.map(({ data }) => Buffer.from(data))).toEqual([units(IDR), units(P)])
  })
})

test('nothing is given out for a media that was not set up', () => {
  const { sink, intake } = openIntake(WITH_SETS)

  intake.rtp(7, rtpPacket({ payload: IDR }), NOW)

  expect(sink.samples).toEqual([])
})
