import { describe, expect, test } from 'vitest'
import { toHighBitsFirst } from '../../../src/ingest/rtp/depacketise/audio-formats.ts'
import { hex } from '../../support/fuzz.ts'
import { inSequence, NOW, openIntake, type MadePacket } from './recording-sink.ts'

function play(sdp: string, packets: Iterable<MadePacket>, lost: readonly number[] = []) {
  const opened = openIntake(sdp)
  let at = 0
  for (const packet of inSequence(packets)) {
    if (!lost.includes(at++)) opened.intake.rtp(0, packet, NOW)
  }
  opened.intake.flush()
  const { sink } = opened
  const samples = sink.samples.map(({ pts, data }) => `${pts} ${Buffer.from(data).toString('hex')}`)
  return { ...opened, samples, track: sink.tracks[0] }
}

const payloads = (
  ...each: readonly (readonly [timestamp: number, bytes: string])[]
): MadePacket[] =>
  each.map(([timestamp, bytes]) => ({ timestamp, payload: hex(bytes), marker: true }))

const aac = (parameters: string, rate = 48_000) =>
  `m=audio 0 RTP/AVP 96\na=rtpmap:96 mpeg4-generic/${rate}/2\na=fmtp:96 ${parameters}\n`
const HBR = 'mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3'

describe('AAC in RTP (RFC 3640)', () => {
  test('one access unit, several, and one in several packets', () => {
    const { samples, track } = play(
      aac(`${HBR};config=1190`),
      payloads(
        [0, '0010 0018 aabbcc'],
        [1024, '0020 0010 0018 ddee ff0011'],
        [3072, '0010 0020 0102'],
        [3072, '0010 0020 0304'],
        [4096, '0010 0008 05'],
      ),
    )

    expect(samples).toEqual(['0 aabbcc', '1024 ddee', '2048 ff0011', '3072 01020304', '4096 05'])
    expect(track).toMatchObject({
      number: 2,
      codecId: 'A_AAC',
      codecPrivate: hex('1190'),
      timescale: 48_000,
      audio: { sampleRateHz: 48_000, channels: 2 },
    })
  })

  test.each([
    [
      'AAC-lbr',
      'mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2;config=1190',
      '0010 0804 aabb cc',
    ],
    ['no header sizes: those of the mode', 'mode=AAC-lbr;config=1190', '0010 0804 aabb cc'],
    ['no mode at all: AAC-hbr', 'config=1190', '0020 0010 0008 aabb cc'],
    [
      'a constant size',
      'mode=AAC-hbr;constantsize=2;sizelength=0;indexlength=8;indexdeltalength=8;config=1190',
      '0010 0000 aabb ccdd',
    ],
    [
      'decode time deltas',
      `${HBR};config=1190;dtsdeltalength=6;ctsdeltalength=1`,
      '0018 001040 aabb',
    ],
    [
      'an auxiliary section',
      `${HBR};config=1190;auxiliarydatasizelength=8`,
      '0020 0010 0008 08ff aabb cc',
    ],
    [
      'parameters in capitals, in another order',
      'CONFIG=1190;IndexDeltaLength=3;SizeLength=13;IndexLength=3',
      '0020 0010 0008 aabb cc',
    ],
  ])('%s', (_rule, parameters, packet) => {
    const { samples } = play(aac(parameters), payloads([0, packet], [2048, packet]))

    expect(samples.length).toBeGreaterThanOrEqual(2)
    expect(samples[0]).toBe('0 aabb')
  })

  test('interleaving: an index says how far apart access units are', () => {
    const { samples } = play(
      aac(`${HBR};config=1190`),
      payloads([0, '0020 0008 0009 aa bb'], [1024, '0020 0008 0009 cc dd']),
    )

    expect(samples).toEqual(['0 aa', '2048 bb', '1024 cc', '3072 dd'])
  })

  test('SBR: the clock is twice the rate of the core', () => {
    const { samples, track } = play(
      aac(`${HBR};config=2b118800`),
      payloads([0, '0020 0008 0008 aa bb'], [4096, '0010 0008 cc']),
    )

    expect(samples).toEqual(['0 aa', '2048 bb', '4096 cc'])
    expect(track!.audio).toEqual({ sampleRateHz: 24_000, channels: 2 })
  })

  test('a configuration that is cut behind its rates is believed', () => {
    const { track } = play(
      aac(`${HBR};config=2b1188`),
      payloads([0, '0010 0008 aa'], [2048, '0010 0008 bb']),
    )

    expect(track).toMatchObject({ codecPrivate: hex('2b1188'), audio: { sampleRateHz: 24_000 } })
  })

  test('without a configuration it is LC at the rate of the rtpmap', () => {
    const { track } = play(aac(HBR, 16_000), payloads([0, '0010 0008 aa'], [1024, '0010 0008 bb']))

    expect(track).toMatchObject({
      codecPrivate: hex('1410'),
      audio: { sampleRateHz: 16_000, channels: 2 },
    })
  })

  /** 16 kHz, mono, 3 bytes. */
  const ADTS = 'fff16040015ffc aabbcc'

  test.each([
    ['in place of AU headers', `${ADTS}${ADTS}`],
    ['behind AU headers', `0020 0050 0050 ${ADTS}${ADTS}`],
  ])('ADTS %s is taken off', (_rule, packet) => {
    const sdp = `m=audio 0 RTP/AVP 96\na=rtpmap:96 mpeg4-generic/16000\na=fmtp:96 ${HBR}\n`
    const { samples, track } = play(sdp, payloads([0, packet], [2048, packet]))

    expect(samples).toEqual(['0 aabbcc', '1024 aabbcc', '2048 aabbcc', '3072 aabbcc'])
    expect(track).toMatchObject({
      codecPrivate: hex('1408'),
      audio: { sampleRateHz: 16_000, channels: 1 },
    })
  })

  test.each([
    ['AU headers longer than the packet', 'ffef aabb'],
    ['access units longer than the packet', '0020 0010 0ff8 aabb'],
    ['AU headers that end inside a field', '000f 0010 aabb'],
  ])('%s are counted', (_rule, packet) => {
    const { samples, intake } = play(
      aac(`${HBR};config=1190`),
      payloads([0, '0010 0008 aa'], [1024, packet], [2048, '0010 0008 bb']),
    )

    expect(samples).toEqual(['0 aa', '2048 bb'])
    expect(intake.stats()[0]!.malformed).toBe(1)
  })

  test('a lost fragment takes its access unit', () => {
    const { samples, sink } = play(
      aac(`${HBR};config=1190`),
      payloads(
        [0, '0010 0008 aa'],
        [1024, '0010 0030 0102'],
        [1024, '0010 0030 0304'],
        [1024, '0010 0030 0506'],
        [2048, '0010 0008 bb'],
      ),
      [2],
    )

    expect(samples).toEqual(['0 aa', '2048 bb'])
    expect(sink.drops.get('packet-loss')).toBe(1)
  })
})

describe('AAC as LATM (RFC 6416)', () => {
  /** RFC 6416 §7.4: `config` of AAC LC, 24 kHz, stereo. */
  const CONFIG = '400026203fc0'
  const latm = (parameters: string) =>
    `m=audio 0 RTP/AVP 96\na=rtpmap:96 MP4A-LATM/24000/2\na=fmtp:96 ${parameters}\n`

  test('with its configuration in the SDP', () => {
    const { samples, track } = play(
      latm(`profile-level-id=1;cpresent=0;object=2;config=${CONFIG}`),
      payloads([0, '03 aabbcc'], [1024, '01dd 02eeff']),
    )

    expect(samples).toEqual(['0 aabbcc', '1024 dd', '2048 eeff'])
    expect(track).toMatchObject({
      codecId: 'A_AAC',
      codecPrivate: hex('1310'),
      audio: { sampleRateHz: 24_000, channels: 2 },
    })
  })

  test.each([
    ['ends behind the codec', '40002320', '1190'],
    ['has a sync extension', '40002320adca00', '119056e500'],
  ])("GStreamer's `config` %s", (_rule, config, codecPrivate) => {
    const { samples, track } = play(
      latm(`cpresent=0;config=${config}`),
      payloads([0, '01 aa'], [1024, '01 bb']),
    )

    expect(samples).toEqual(['0 aa', '1024 bb'])
    expect(track!.codecPrivate).toEqual(hex(codecPrivate))
  })

  test('with its configuration in the elements, which then begin at no byte', () => {
    // useSameStreamMux 0, StreamMuxConfig of 44 bits, length 2, two bytes; then useSameStreamMux 1.
    const first = bits('0', ofHex(CONFIG).slice(0, 44), '00000010', ofHex('aabb'))
    const second = bits('1', '00000001', ofHex('cc'))
    const { samples } = play(latm('cpresent=1'), [
      { timestamp: 0, payload: first, marker: true },
      { timestamp: 1024, payload: second, marker: true },
    ])

    expect(samples).toEqual(['0 aabb', '1024 cc'])
  })

  test('an element in several packets, the last with the marker', () => {
    const parts = ['ff 2d', '00'.repeat(200), '11'.repeat(100)]
    const { samples } = play(
      latm(`cpresent=0;config=${CONFIG}`),
      parts.map((part, i) => ({ timestamp: 0, payload: hex(part), marker: i === 2 })),
    )

    expect(samples).toEqual([`0 ${'00'.repeat(200)}${'11'.repeat(100)}`])
  })

  test('lengths that lie, and elements before any configuration, are counted', () => {
    const { samples, sink, intake } = play(
      latm('cpresent=1'),
      payloads([0, 'c0'], [1024, 'ffffff']),
    )

    expect(samples).toEqual([])
    expect(sink.drops.get('no-parameter-sets')).toBe(2)
    const broken = play(
      latm(`cpresent=0;config=${CONFIG}`),
      payloads([0, 'ff'], [1024, '05 aa'], [2048, '01 bb']),
    )
    expect(broken.samples).toEqual(['2048 bb'])
    expect(broken.intake.stats()[0]!.malformed).toBe(2)
    expect(intake.stats()[0]!.malformed).toBe(0)
  })
})

/** A string of bits as bytes. */
function bits(...parts: string[]): Uint8Array {
  const all = parts.join('')
  return Uint8Array.from({ length: Math.ceil(all.length / 8) }, (_, i) =>
    parseInt(all.slice(i * 8, i * 8 + 8).padEnd(8, '0'), 2),
  )
}
const ofHex = (text: string) =>
  [...hex(text)].map((byte) => byte.toString(2).padStart(8, '0')).join('')

describe('formats of whole packets (RFC 3551, RFC 7587)', () => {
  const format = (payloadType: number, rtpmap: string, fmtp = '') =>
    play(`m=audio 0 RTP/AVP ${payloadType}\n${rtpmap}\n${fmtp}\n`, [
      { payload: hex('0102'), timestamp: 5, payloadType },
      { payload: hex('0304'), timestamp: 165, payloadType },
    ])

  test.each([
    [
      'PCMU by its number',
      0,
      '',
      'A_MS/ACM',
      '0700 0100 401f0000 401f0000 0100 0800 0000',
      8000,
      1,
    ],
    [
      'PCMA by its number',
      8,
      '',
      'A_MS/ACM',
      '0600 0100 401f0000 401f0000 0100 0800 0000',
      8000,
      1,
    ],
    [
      'PCMA at another clock',
      96,
      'a=rtpmap:96 PCMA/16000/2',
      'A_MS/ACM',
      '0600 0200 803e0000 007d0000 0200 0800 0000',
      16_000,
      2,
    ],
    [
      'G.722 at twice its clock',
      9,
      '',
      'A_MS/ACM',
      '8f02 0100 803e0000 401f0000 0100 0400 0000',
      16_000,
      1,
    ],
    [
      'G.726',
      96,
      'a=rtpmap:96 AAL2-G726-32/8000',
      'A_MS/ACM',
      '4500 0100 401f0000 a00f0000 0100 0400 0000',
      8000,
      1,
    ],
    [
      'Opus, mono unless it says otherwise',
      96,
      'a=rtpmap:96 opus/48000/2',
      'A_OPUS',
      '4f70757348656164 01 01 0000 80bb0000 0000 00',
      48_000,
      1,
    ],
    ['L16', 11, '', 'A_PCM/INT/BIG', '', 44_100, 1],
    ['L24', 96, 'a=rtpmap:96 L24/48000/2', 'A_PCM/INT/BIG', '', 48_000, 2],
    ['L8', 96, 'a=rtpmap:96 L8/8000', 'A_PCM/INT/LIT', '', 8000, 1],
  ])('%s', (_rule, payloadType, rtpmap, codecId, codecPrivate, sampleRateHz, channels) => {
    const { samples, track } = format(payloadType, rtpmap)

    expect(samples).toEqual(['5 0102', '165 0304'])
    expect(track).toMatchObject({
      codecId,
      codecPrivate: hex(codecPrivate),
      audio: { sampleRateHz, channels },
    })
  })

  test('Opus in stereo', () => {
    const { track } = format(96, 'a=rtpmap:96 opus/48000/2', 'a=fmtp:96 sprop-stereo=1')

    expect(track!.audio!.channels).toBe(2)
    expect(track!.codecPrivate[9]).toBe(2)
  })

  test('G.726 fills bytes from the low end in RTP, from the high end in WAVE', () => {
    const { samples } = format(96, 'a=rtpmap:96 G726-32/8000')

    expect(samples).toEqual(['5 1020', '165 3040'])
    // RFC 3551 §4.5.4, G726-24: eight codes of three bits; here 0 to 7.
    expect(toHighBitsFirst(Uint8Array.of(0b10_001_000, 0b1_100_011_0, 0b111_110_10), 3)).toEqual(
      bits('000001010011100101110111'),
    )
  })

  test('an empty packet is no sample, a lost one takes nothing else', () => {
    const { samples, sink } = play(
      'm=audio 0 RTP/AVP 0\n',
      ['aa', '', 'bb', 'cc'].map((text, i) => ({
        payload: hex(text),
        timestamp: i * 160,
        payloadType: 0,
      })),
      [2],
    )

    expect(samples).toEqual(['0 aa', '480 cc'])
    expect(sink.losses).toEqual([2])
  })
})
