import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import type { Sample, Track } from '../../../src/domain/track.ts'
import { MAX_UNIT_BYTES } from '../../../src/ingest/rtp/depacketise/depacketiser.ts'
import { UnitBuffer } from '../../../src/ingest/rtp/depacketise/unit-buffer.ts'
import { parseRtcp } from '../../../src/ingest/rtp/rtcp-packet.ts'
import { parseRtpPacket } from '../../../src/ingest/rtp/rtp-packet.ts'
import { isLengthPrefixed } from '../../../src/media/nal/nal-units.ts'
import { createRandom, FUZZ_CASES, hex, mutations } from '../../support/fuzz.ts'
import { NOW, openIntake, rtpPacket } from './recording-sink.ts'

type Format = {
  readonly rule: string
  readonly sdp: string
  readonly payloadType: number
  /** Payloads that are well formed, in an order that makes sense. */
  readonly payloads: readonly string[]
}

const dynamic = (kind: string, rtpmap: string, fmtp = '') =>
  `m=${kind} 0 RTP/AVP 96\na=rtpmap:96 ${rtpmap}\na=fmtp:96 ${fmtp}\n`

const FORMATS: readonly Format[] = [
  {
    rule: 'H.264',
    sdp: dynamic('video', 'H264/90000'),
    payloadType: 96,
    payloads: [
      '78001a674d400deca0a843c4446022000003000200000300781e28532c000568ebe3cb20',
      '060601c480',
      '658880aabbccddee',
      '419a800102',
      '4108cd0304',
      '5c8188800102030405',
      '5c010a0b0c0d',
      '5c410e0f',
      '0000000168ebe3cb20000001419a80010203',
    ],
  },
  {
    rule: 'H.265',
    sdp: dynamic('video', 'H265/90000', 'sprop-max-don-diff=0'),
    payloadType: 96,
    payloads: [
      '6001001840010c01ffff01600000030090000003000003003c959809002b42010101600000030090000003000003003ca00a480f9c9265959a4932bc05a02000000300200000030321',
      '4401c172b46240',
      '2601af1122334455',
      '0201d0aabbccddee',
      '620193af11223344',
      '620113556677',
      '6201538899',
    ],
  },
  {
    rule: 'H.265 with DON',
    sdp: dynamic('video', 'H265/90000', 'sprop-max-don-diff=4'),
    payloadType: 96,
    payloads: [
      '60010001002b42010101600000030090000003000003003ca00a480f9c9265959a4932bc05a020000003002000000303210100074401c172b46240',
      '26010001af112233',
      '6201930001af11',
      '620153aabb',
    ],
  },
  {
    rule: 'AAC',
    sdp: dynamic(
      'audio',
      'mpeg4-generic/48000/2',
      'mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190',
    ),
    payloadType: 96,
    payloads: [
      '00100018aabbcc',
      '002000100018ddeeff0011',
      '001000200102',
      '001000200304',
      'fff16040015ffcaabbcc',
    ],
  },
  {
    rule: 'AAC with every field',
    sdp: dynamic(
      'audio',
      'mpeg4-generic/48000/2',
      'sizelength=6;indexlength=2;indexdeltalength=2;ctsdeltalength=3;dtsdeltalength=4;randomaccessindication=1;streamstateindication=3;auxiliarydatasizelength=7',
    ),
    payloadType: 96,
    payloads: ['000e080000aabb', '001504afc800aa'],
  },
  {
    rule: 'LATM, configuration in band',
    sdp: dynamic('audio', 'MP4A-LATM/24000/2', 'cpresent=1'),
    payloadType: 96,
    payloads: [
      '200013101fe00155d5d0',
      '80e6',
      '400026203fc001aa',
      '47fc0000b090803013c00'.padEnd(22, '0'),
    ],
  },
  {
    rule: 'LATM, configuration in the SDP',
    sdp: dynamic('audio', 'MP4A-LATM/24000/2', 'cpresent=0;config=400026203fc0'),
    payloadType: 96,
    payloads: ['03aabbcc', '01dd02eeff', 'ff2d' + '00'.repeat(40)],
  },
  {
    rule: 'AV1',
    sdp: dynamic('video', 'AV1/90000'),
    payloadType: 96,
    payloads: [
      '200c08000000043cffbcfbf90040301000aabb',
      '1030aabbcc',
      '5030010203',
      'd0040506',
      '90070809',
      '000230aa0330bbcc',
      '100c', // an extension flag, and no extension
    ],
  },
  {
    rule: 'VP8',
    sdp: dynamic('video', 'VP8/90000'),
    payloadType: 96,
    payloads: ['1050 00009d012a40003000aabb', '90f0ff01020350 0000ff', '00aabbcc', '10110000aabb'],
  },
  {
    rule: 'VP9',
    sdp: dynamic('video', 'VP9/90000'),
    payloadType: 96,
    payloads: [
      '0c82498342000 13f00ef0011223344',
      'aa8123450618 0140 00f00121a1 82498342001 3f00ef00112233',
      'fc8001030500aabbcc',
      '0486aabb',
    ],
  },
  {
    rule: 'JPEG',
    sdp: 'm=video 0 RTP/AVP 26\n',
    payloadType: 26,
    payloads: [
      `0000000001ff0806${'00000080'}${'10'.repeat(128)}aabbcc`,
      '00000003014b0806ddeeff',
      '00000000414b08060010ffffaabb',
      '00000000018008060000000011',
    ],
  },
  { rule: 'G.711', sdp: 'm=audio 0 RTP/AVP 0\n', payloadType: 0, payloads: ['aabbccdd'] },
  {
    rule: 'G.726',
    sdp: dynamic('audio', 'G726-24/8000'),
    payloadType: 96,
    payloads: ['aabbccddeeff'],
  },
  { rule: 'Opus', sdp: dynamic('audio', 'opus/48000/2'), payloadType: 96, payloads: ['f8fffe'] },
  {
    rule: 'ONVIF metadata',
    sdp: dynamic('application', 'vnd.onvif.metadata/90000'),
    payloadType: 96,
    payloads: ['3c612f3e', '3c623e', '3c2f623e'],
  },
  {
    rule: 'an unknown format',
    sdp: dynamic('video', 'X-THING/1'),
    payloadType: 96,
    payloads: ['00', 'ff'.repeat(30)],
  },
]

/** What a sink may rely on; checked as the samples come, so that none have to be kept. */
function checkedIntake(sdp: string) {
  const opened = openIntake(sdp, { isReliable: false })
  const { sink } = opened
  const counts = { samples: 0, bytes: 0, tracks: 0 }
  const tracks = new Map<number, Track>()
  sink.describe = (track) => {
    counts.tracks++
    tracks.set(track.number, track)
  }
  sink.write = (sample: Sample) => {
    const track = tracks.get(sample.trackNumber)
    const isNal = track?.codecId === 'V_MPEG4/ISO/AVC' || track?.codecId === 'V_MPEGH/ISO/HEVC'
    if (
      track === undefined ||
      sample.data.length === 0 ||
      !Number.isSafeInteger(sample.pts) ||
      !Number.isSafeInteger(sample.dts) ||
      sample.dts > sample.pts ||
      (isNal && !isLengthPrefixed(sample.data, 4))
    ) {
      throw new Error(`bad sample ${JSON.stringify({ ...sample, data: [...sample.data] })}`)
    }
    counts.samples++
    counts.bytes += sample.data.length
  }
  return { ...opened, counts }
}

/** A full run on a busy machine. */
const LONG = 300_000

describe('depacketisers', { timeout: LONG }, () => {
  test.each(FORMATS)('$rule: every payload cut at every byte', ({ sdp, payloadType, payloads }) => {
    const { intake } = checkedIntake(sdp)
    let sequence = 0
    for (const payload of payloads.map(hex)) {
      for (let end = 0; end <= payload.length; end++) {
        for (const marker of [false, true]) {
          const timestamp = sequence * 90
          const part = payload.subarray(0, end)
          intake.rtp(0, rtpPacket({ payload: part, sequence, timestamp, marker, payloadType }), NOW)
          sequence++
        }
      }
    }
    intake.flush()
    expect(intake.stats()[0]!.packets).toBe(sequence)
  })

  test.each(FORMATS)(
    '$rule: damaged payloads, lost and swapped packets',
    ({ sdp, payloadType, payloads }) => {
      const { intake, counts } = checkedIntake(sdp)
      const random = createRandom(payloads.length)
      const seeds = payloads.map(hex)
      let sequence = 0
      let timestamp = 0
      let sent = 0
      for (const damaged of mutations(seeds, FUZZ_CASES)) {
        const luck = random()
        // Half of the packets are whole, or nothing would ever come out.
        const payload = luck < 0.5 ? seeds[Math.floor(luck * 2 * seeds.length)]! : damaged
        if (random() < 0.4) timestamp += 3000
        if (random() < 0.01) timestamp = Math.floor(random() * 2 ** 32)
        sequence += random() < 0.03 ? 2 : 1
        const number = random() < 0.03 ? sequence - 2 : sequence
        const marker = random() < 0.4
        const packet = rtpPacket({ payload, sequence: number, timestamp, marker, payloadType })
        intake.rtp(0, packet, epochMs(NOW + sent * 5))
        packet.fill(0xee)
        sent++
      }
      intake.flush()

      const stats = intake.stats()[0]!
      expect(stats.packets).toBe(sent)
      expect(counts.samples).toBeGreaterThan(FUZZ_CASES / 200)
      expect(intake.samples).toBe(counts.samples)
      expect(stats.lost).toBeGreaterThan(0)
    },
  )
})

const RTP_SEEDS = [
  '80600001000000020000000 3aabb',
  '926000010000000200000003 11111111 22222222 bede0001 33333333 aabb',
  'b06000010000000200000003 bede0000 aabb0003',
].map((text) => hex(text.replaceAll(' ', '')))
const RTCP_SEEDS = [
  '80c8000612345678e80000008000000000001000000000020000000381ca00031234567801046162636400 00',
  '81c9000712345678aaaaaaaa01000002000000030000000400000005000000 06',
  '82cb0003123456780badcafe03627965',
].map((text) => hex(text.replaceAll(' ', '')))

test('RTP headers: cut at every byte, and damaged', () => {
  for (const seed of RTP_SEEDS) {
    for (let end = 0; end <= seed.length; end++) parseRtpPacket(seed.subarray(0, end))
  }
  let parsed = 0
  for (const bytes of mutations(RTP_SEEDS, FUZZ_CASES)) {
    const packet = parseRtpPacket(bytes)
    if (packet === null) continue
    parsed++
    if (packet.payload.length > bytes.length - 12) throw new Error('payload beyond the packet')
  }
  expect(parsed).toBeGreaterThan(FUZZ_CASES / 4)
})

test('RTCP: cut at every byte, and damaged', () => {
  for (const seed of RTCP_SEEDS) {
    for (let end = 0; end <= seed.length; end++) parseRtcp(seed.subarray(0, end))
  }
  let parsed = 0
  for (const bytes of mutations(RTCP_SEEDS, FUZZ_CASES)) if (parseRtcp(bytes) !== null) parsed++
  expect(parsed).toBeGreaterThan(FUZZ_CASES / 4)
})

test('an intake takes anything on both of its channels, from any source, at any time', () => {
  const { intake, counts } = checkedIntake(FORMATS[0]!.sdp)
  const random = createRandom(99)
  const good = FORMATS[0]!.payloads.map((text, i) =>
    rtpPacket({ payload: hex(text), sequence: i, timestamp: i * 3000, marker: true }),
  )
  let at = NOW as number
  for (const bytes of mutations([...good, ...RTP_SEEDS, ...RTCP_SEEDS], FUZZ_CASES)) {
    at += Math.floor(random() * 100) - 20
    if (random() < 0.8) intake.rtp(0, bytes, epochMs(at))
    else intake.rtcp(0, bytes, epochMs(at))
    if (random() < 0.01) intake.receiverReport(0)
  }
  intake.flush()

  expect(counts.samples).toBeGreaterThan(0)
  expect(intake.stats()).toHaveLength(1)
})

test('a unit that never ends holds 8 MiB at most, and gives its memory back', () => {
  const buffer = new UnitBuffer()
  for (let i = 0; i < 400; i++) buffer.append(new Uint8Array(60_000))

  expect(buffer.length).toBeLessThanOrEqual(MAX_UNIT_BYTES)
  expect(buffer.isOverfull).toBe(true)
  expect(buffer.view().buffer.byteLength).toBeLessThanOrEqual(2 * MAX_UNIT_BYTES)
  buffer.clear()
  expect(buffer.view().buffer.byteLength).toBeLessThan(64 * 1024)
})

test.each(FORMATS)('$rule: a unit that never ends gives out no more than came in', (format) => {
  const { sdp, payloadType, payloads } = format
  const { intake, counts } = checkedIntake(sdp)
  const payload = new Uint8Array(60_000).fill(0x11)
  payload.set(hex(payloads.at(-1)!))
  for (let sequence = 0; sequence < 200; sequence++) {
    intake.rtp(0, rtpPacket({ payload, sequence, timestamp: 1, payloadType }), NOW)
  }
  intake.flush()

  expect(counts.bytes).toBeLessThanOrEqual(200 * 60_000)
})
