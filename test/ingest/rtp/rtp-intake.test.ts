import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import { parseRtcp, toWallMs } from '../../../src/ingest/rtp/rtcp-packet.ts'
import { parseRtpPacket } from '../../../src/ingest/rtp/rtp-packet.ts'
import { hex } from '../../support/fuzz.ts'
import { NOW, openIntake, rtpPacket, type MadePacket } from './recording-sink.ts'

const PCMU = 'm=audio 0 RTP/AVP 0\n'
const TWO = 'm=audio 0 RTP/AVP 0\nm=audio 0 RTP/AVP 8\n'
const SSRC = 0x1234_5678
const OTHER = 0x0bad_cafe

/** The n-th packet of 20 ms of G.711; its payload is n. */
const pcm = (n: number, more: Partial<MadePacket> = {}) =>
  rtpPacket({
    payload: Uint8Array.of(n & 0xff),
    sequence: n,
    timestamp: n * 160,
    payloadType: 0,
    ...more,
  })

const at = (ms: number) => epochMs(NOW + ms)

describe('parseRtpPacket (RFC 3550 §5.1)', () => {
  test.each([
    ['the smallest header', '80 60 0001 00000002 00000003 aabb', 'aabb'],
    ['contributing sources', '82 60 0001 00000002 00000003 11111111 22222222 aabb', 'aabb'],
    ['an extension', '90 60 0001 00000002 00000003 bede 0001 11111111 aabb', 'aabb'],
    ['an empty extension', '90 60 0001 00000002 00000003 bede 0000 aabb', 'aabb'],
    ['padding', 'a0 60 0001 00000002 00000003 aabb 000003', 'aabb'],
    ['padding of 0, which cannot be', 'a0 60 0001 00000002 00000003 aa00', 'aa00'],
    ['no payload', '80 60 0001 00000002 00000003', ''],
  ])('%s', (_rule, packet, payload) => {
    expect(parseRtpPacket(hex(packet))).toEqual({
      marker: false,
      payloadType: 96,
      sequence: 1,
      timestamp: 2,
      ssrc: 3,
      payload: hex(payload),
    })
  })

  test.each([
    ['eleven bytes', '80 60 0001 00000002 000000'],
    ['another version', '40 60 0001 00000002 00000003'],
    ['sources beyond the end', '8f 60 0001 00000002 00000003 aabb'],
    ['an extension beyond the end', '90 60 0001 00000002 00000003 bede 0002 11111111'],
    ['half an extension header', '90 60 0001 00000002 00000003 be'],
    ['more padding than payload', 'a0 60 0001 00000002 00000003 aa 05'],
  ])('refuses %s', (_rule, packet) => {
    expect(parseRtpPacket(hex(packet))).toBeNull()
  })
})

describe('parseRtcp (RFC 3550 §6)', () => {
  const SENDER = '80c8 0006 12345678 e8000000 80000000 00001000 00000002 00000003'

  test('a compound of sender report, description and BYE', () => {
    const packets = parseRtcp(
      hex(`${SENDER} 81ca 0003 12345678 0104 61626364 0000 81cb 0001 12345678`),
    )

    expect(packets).toEqual([
      {
        type: 'sender-report',
        ssrc: SSRC,
        ntpSeconds: 0xe800_0000,
        ntpFraction: 0x8000_0000,
        rtpTimestamp: 0x1000,
        packets: 2,
        octets: 3,
      },
      { type: 'source-description', ssrc: SSRC, cname: 'abcd' },
      { type: 'bye', sources: [SSRC] },
    ])
  })

  test.each([
    [
      'types that we do not know',
      '80cc 0002 12345678 61626364 80c9 0001 12345678',
      ['receiver-report'],
    ],
    ['a report that is too short', '80c8 0001 12345678', []],
    ['a BYE that names more than it has', '9fcb 0001 12345678', ['bye']],
  ])('passes over %s', (_rule, bytes, types) => {
    expect(parseRtcp(hex(bytes))!.map(({ type }) => type)).toEqual(types)
  })

  test.each([
    ['another version', '40c9 0001 12345678'],
    ['a length beyond the end', '80c9 0002 12345678'],
    ['half a header', '80c9 00'],
  ])('refuses %s', (_rule, bytes) => {
    expect(parseRtcp(hex(bytes))).toBeNull()
  })

  test.each([
    ['1 Jan 2026, and a half', 3_976_214_400, 0x8000_0000, Date.UTC(2026, 0, 1) + 500],
    ['the last second of 2015', 3_660_595_199, 0xffff_ffff, Date.UTC(2016, 0, 1)],
    ['a sender without a wall clock', 0, 0, null],
    ['a clock that began in 1970', 2_208_988_800 + 100, 0, 100_000],
    ['after the wrap of 2036', 1, 0, Date.UTC(2036, 1, 7, 6, 28, 17)],
  ])('wall time: %s', (_rule, seconds, fraction, expected) => {
    expect(toWallMs(seconds, fraction)).toBe(expected)
  })
})

describe('one source among others', () => {
  const taken = (sink: { samples: readonly { data: Uint8Array }[] }) =>
    sink.samples.map(({ data }) => data[0])

  test('an announced source is believed at once', () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    intake.rtp(0, pcm(1), NOW)

    expect(taken(sink)).toEqual([1])
  })

  test('another must come twice, and its first packet is not lost', () => {
    const { sink, intake } = openIntake(PCMU)
    intake.rtp(0, pcm(1), NOW)
    expect(taken(sink)).toEqual([])
    intake.rtp(0, pcm(2), NOW)

    expect(taken(sink)).toEqual([1, 2])
  })

  test("another session's packets on our channel are refused, before ours and between them", () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    for (let n = 50; n < 60; n++) intake.rtp(0, pcm(n, { ssrc: OTHER }), NOW)
    for (let n = 0; n < 30; n++) {
      intake.rtp(0, pcm(n), NOW)
      intake.rtp(0, pcm(n + 60, { ssrc: OTHER }), NOW)
    }

    expect(taken(sink)).toEqual(Array.from({ length: 30 }, (_, n) => n))
    expect(intake.stats()[0]).toMatchObject({ ssrc: SSRC, packets: 30, lost: 0 })
    expect(intake.stats()[0]!.refused).toBeGreaterThan(35)
  })

  test('payload types that the SDP does not name are refused', () => {
    const { sink, intake } = openIntake(PCMU)
    for (let n = 0; n < 4; n++) intake.rtp(0, pcm(n, { payloadType: 96, ssrc: OTHER }), NOW)
    for (let n = 0; n < 4; n++) intake.rtp(0, pcm(n), NOW)

    expect(taken(sink)).toEqual([0, 1, 2, 3])
    expect(intake.stats()[0]!.refused).toBe(4)
  })

  test('a wrong announcement is given up after 16 packets, and none of them is lost', () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, OTHER]]) })
    for (let n = 0; n < 15; n++) intake.rtp(0, pcm(n), NOW)
    expect(taken(sink)).toEqual([])
    for (let n = 15; n < 18; n++) intake.rtp(0, pcm(n), NOW)

    expect(taken(sink)).toEqual(Array.from({ length: 18 }, (_, n) => n))
  })

  test.each([
    ['after 16 packets', 20, 16],
    ['after 2 when the old one has been silent for two seconds', 2_500, 2],
  ])('a source that begins anew is taken %s, as a jump', (_rule, pauseMs, needed) => {
    const { sink, intake } = openIntake(PCMU)
    for (let n = 0; n < 10; n++) intake.rtp(0, pcm(n), at(n * 20))
    for (let n = 0; n < needed - 1; n++) {
      intake.rtp(0, pcm(n + 4000, { ssrc: OTHER }), at(200 + pauseMs + n * 20))
    }
    expect(sink.samples).toHaveLength(10)
    intake.rtp(0, pcm(needed + 3999, { ssrc: OTHER }), at(200 + pauseMs + needed * 20))

    expect(sink.samples).toHaveLength(10 + needed)
    expect(intake.stats()[0]).toMatchObject({ ssrc: OTHER, lost: 0, packets: 10 + needed })
    const [before, after] = [sink.samples[9]!, sink.samples[10]!]
    expect((after.pts - before.pts) / 8000).toBe(60)
    expect(after.arrivedAt).toBe(at(200 + pauseMs))
    expect(sink.losses).toEqual([2])
  })

  test('metadata are so rare that their first packet counts', () => {
    const { sink, intake } = openIntake(
      'm=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n',
    )
    const payload = Uint8Array.from(Buffer.from('<tt:MetadataStream/>'))
    intake.rtp(0, rtpPacket({ payload, payloadType: 107, marker: true }), NOW)

    expect(sink.samples).toHaveLength(1)
    expect(sink.expected).toEqual([])
  })
})

describe('order', () => {
  const play = (order: readonly number[], isReliable: boolean, everyMs = 1) => {
    const opened = openIntake(PCMU, { isReliable, ssrcOf: new Map([[0, SSRC]]) })
    order.forEach((n, i) => opened.intake.rtp(0, pcm(n), at(i * everyMs)))
    opened.intake.flush()
    const numbers = opened.sink.samples.map(({ pts }) => pts / 160)
    return { ...opened, numbers, stats: opened.intake.stats()[0]! }
  }
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

  test.each([
    ['swapped packets', [0, 2, 1, 3], [0, 1, 2, 3], { reordered: 1, duplicates: 0, lost: 0 }],
    ['duplicates', [0, 1, 1, 0, 2], [0, 1, 2], { reordered: 0, duplicates: 2, lost: 0 }],
    [
      'a duplicate of one that waits',
      [0, 2, 2, 1],
      [0, 1, 2],
      { reordered: 1, duplicates: 1, lost: 0 },
    ],
    ['a loss at the end', [0, 2, 3], [0, 2, 3], { reordered: 0, duplicates: 0, lost: 1 }],
    ['one that is 64 late', [0, ...range(2, 66), 1, 66], range(0, 67), { reordered: 1, lost: 0 }],
    [
      'one that is 65 late',
      [0, ...range(2, 67), 1, 67],
      [0, ...range(2, 68)],
      { lost: 1, duplicates: 1 },
    ],
  ])('over UDP: %s', (_rule, order, expected, stats) => {
    const played = play(order, false)

    expect(played.numbers).toEqual(expected)
    expect(played.stats).toMatchObject(stats)
  })

  test('a missing packet is waited for no longer than a quarter of a second', () => {
    const { sink, intake } = openIntake(PCMU, { isReliable: false, ssrcOf: new Map([[0, SSRC]]) })
    intake.rtp(0, pcm(0), at(0))
    intake.rtp(0, pcm(2), at(40))
    intake.rtp(0, pcm(3), at(290))
    expect(sink.samples).toHaveLength(1)
    intake.rtp(0, pcm(4), at(291))

    expect(sink.samples.map(({ pts }) => pts / 160)).toEqual([0, 2, 3, 4])
    expect(sink.losses).toEqual([2])
  })

  test('in TCP nothing is waited for', () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    intake.rtp(0, pcm(0), NOW)
    intake.rtp(0, pcm(5), NOW)

    expect(sink.samples).toHaveLength(2)
    expect(intake.stats()[0]).toMatchObject({ lost: 4, lossFraction: 4 / 6 })
  })

  test('sequence numbers wrap without a loss', () => {
    const { numbers, stats } = play([...range(65_530, 65_536), ...range(65_536, 65_546)], false)

    expect(numbers).toEqual(range(65_530, 65_546))
    expect(stats).toMatchObject({ lost: 0, reordered: 0 })
  })

  test('a sequence that begins anew is no loss of thousands', () => {
    const { numbers, stats, sink } = play([10, 11, 40_000, 40_001], false)

    expect(numbers).toEqual([10, 11, 40_000, 40_001])
    expect(stats.lost).toBe(0)
    expect(sink.losses).toEqual([2])
  })

  test('5 % loss, swapping and doubling are counted as they are', () => {
    const order: number[] = []
    const lost = new Set<number>()
    for (let n = 0; n < 2000; n++) {
      if (n % 20 === 7) lost.add(n)
      else order.push(n)
      if (n % 20 === 11) order.push(n)
    }
    for (let i = 35; i < order.length; i += 20)
      [order[i], order[i + 1]] = [order[i + 1]!, order[i]!]
    const { numbers, stats } = play(order, false)

    expect(numbers).toEqual(range(0, 2000).filter((n) => !lost.has(n)))
    expect(stats).toMatchObject({ lost: 100, duplicates: 100, malformed: 0 })
    expect(stats.reordered).toBeGreaterThan(80)
  })
})

test('timestamps wrap and go on; times before the first may be negative', () => {
  const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
  const timestamps = [0xffff_ff00, 0xffff_ffa0, 0x40, 0xe0]
  timestamps.forEach((timestamp, n) => intake.rtp(0, pcm(n, { timestamp }), NOW))
  intake.rtp(0, pcm(4, { timestamp: 0x40 }), NOW)

  expect(sink.samples.map(({ pts }) => pts - 0xffff_ff00)).toEqual([0, 160, 320, 480, 320])
})

describe('RTCP', () => {
  const senderReport = (ssrc: number, ntpSeconds: number, rtp: number) => {
    const bytes = hex('80c8 0006 00000000 00000000 80000000 00000000 00000000 00000000')
    const view = new DataView(bytes.buffer)
    view.setUint32(4, ssrc)
    view.setUint32(8, ntpSeconds)
    if (ntpSeconds === 0) view.setUint32(12, 0)
    view.setUint32(16, rtp)
    return bytes
  }
  const BYE = (ssrc: number) => {
    const bytes = hex('81cb 0001 00000000')
    new DataView(bytes.buffer).setUint32(4, ssrc)
    return bytes
  }
  const Y2026 = 3_976_214_400
  const wallMs = Date.UTC(2026, 0, 1) + 500

  test('a sender report says when a tick was, on the unwrapped line', () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    intake.rtp(0, pcm(0, { timestamp: 0xffff_fff0 }), NOW)
    intake.rtcp(0, senderReport(SSRC, Y2026, 0x10), NOW)

    expect(sink.clocks).toEqual([{ trackNumber: 2, ticks: 0x1_0000_0010, wallMs }])
    expect(intake.stats()[0]!.lastSenderReportAt).toBe(NOW)
  })

  test('one that comes before the media waits for the first sample', () => {
    const { sink, intake } = openIntake(PCMU)
    intake.rtcp(0, senderReport(SSRC, Y2026, 8000), NOW)
    expect(sink.clocks).toEqual([])
    intake.rtp(0, pcm(1), NOW)
    intake.rtp(0, pcm(2), NOW)

    expect(sink.clocks).toEqual([{ trackNumber: 2, ticks: 8000, wallMs }])
  })

  test.each([
    ['of another source', OTHER, Y2026],
    ['of a sender without a wall clock', SSRC, 0],
  ])('a sender report %s is passed over', (_rule, ssrc, seconds) => {
    const { sink, intake } = openIntake(PCMU)
    intake.rtp(0, pcm(1), NOW)
    intake.rtp(0, pcm(2), NOW)
    intake.rtcp(0, senderReport(ssrc, seconds, 0), NOW)

    expect(sink.clocks).toEqual([])
  })

  test('a report on the RTP channel is one (RFC 5761)', () => {
    const { sink, intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    intake.rtp(0, pcm(0), NOW)
    intake.rtp(0, senderReport(SSRC, Y2026, 0), NOW)

    expect(sink.clocks).toHaveLength(1)
  })

  test('all medias have to say BYE, and media after it takes it back', () => {
    const { intake } = openIntake(TWO)
    for (const n of [1, 2]) {
      intake.rtp(0, pcm(n), NOW)
      intake.rtp(1, pcm(n, { payloadType: 8, ssrc: OTHER }), NOW)
    }
    intake.rtcp(0, BYE(SSRC), NOW)
    intake.rtcp(1, BYE(SSRC), NOW)
    expect(intake.hasEnded).toBe(false)
    intake.rtcp(1, BYE(OTHER), NOW)
    expect(intake.hasEnded).toBe(true)
    intake.rtp(0, pcm(3), NOW)

    expect(intake.hasEnded).toBe(false)
  })

  test('a receiver report tells loss, highest sequence, jitter and the last sender report', () => {
    const { intake, clock } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    expect(intake.receiverReport(0)).toBeNull()
    for (const n of [65_534, 65_535, 65_537, 65_538])
      intake.rtp(0, pcm(n), at((n - 65_534) * 20 + (n % 2) * 8))
    intake.rtcp(0, senderReport(SSRC, Y2026, 0), NOW)
    clock.advance(1500)

    const report = intake.receiverReport(0)!

    const view = new DataView(report.buffer)
    expect(parseRtcp(report)!.map(({ type }) => type)).toEqual([
      'receiver-report',
      'source-description',
    ])
    expect(view.getUint32(8)).toBe(SSRC)
    expect([view.getUint8(12), view.getUint32(12) & 0xff_ffff]).toEqual([51, 1]) // 1 of 5, in 1/256
    expect(view.getUint32(16)).toBe(65_538)
    expect(view.getUint32(20)).toBeGreaterThan(0)
    expect(view.getUint32(24)).toBe((((Y2026 & 0xffff) << 16) | 0x8000) >>> 0)
    expect(view.getUint32(28)).toBe(1.5 * 65_536)
    // The next interval has no loss; the sum stays.
    intake.rtp(0, pcm(65_539), at(100))
    const next = new DataView(intake.receiverReport(0)!.buffer)
    expect([next.getUint8(12), next.getUint32(12) & 0xff_ffff]).toEqual([0, 1])
  })

  test('jitter is what RFC 3550 §A.8 makes of arrival times', () => {
    const { intake } = openIntake(PCMU, { ssrcOf: new Map([[0, SSRC]]) })
    for (let n = 0; n < 400; n++) intake.rtp(0, pcm(n), at(n * 20 + (n % 2) * 10))

    expect(intake.stats()[0]!.jitterMs).toBeCloseTo(10, 1)
  })
})

test('tracks: the first video is 1, the first audio 2, all others follow', () => {
  const sdp = `m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
m=audio 0 RTP/AVP 0
m=audio 0 RTP/AVP 8
m=video 0 RTP/AVP 99
a=rtpmap:99 X-SECRET/90000
`
  const { sink, intake } = openIntake(sdp)
  expect(sink.expected).toEqual(['audio', 'audio'])
  for (const [index, payloadType] of [
    [0, 107],
    [1, 0],
    [2, 8],
    [3, 99],
  ] as const) {
    for (const n of [1, 2]) intake.rtp(index, pcm(n, { payloadType, marker: true }), NOW)
  }

  expect(sink.tracks.map(({ number, kind, codecId }) => [number, kind, codecId])).toEqual([
    [3, 'data', 'D_ONVIF/METADATA'],
    [2, 'audio', 'A_MS/ACM'],
    [4, 'audio', 'A_MS/ACM'],
    [5, 'data', 'D_RTP'],
  ])
})
