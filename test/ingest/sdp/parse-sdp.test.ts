import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseSdp } from '../../../src/ingest/sdp/parse-sdp.ts'
import { FUZZ_CASES, mutations } from '../../support/fuzz.ts'

/** In the manner of a Dahua camera: two medias and a back channel. */
const CAMERA = `v=0
o=- 2252316233 2252316233 IN IP4 0.0.0.0
s=Media Server
c=IN IP4 0.0.0.0
t=0 0
a=control:*
a=packetization-supported:DH
a=range:npt=now-
m=video 0 RTP/AVP 96
a=control:trackID=0
a=framerate:25.000000
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=640028;sprop-parameter-sets=Z2QAKKwsagHgCJ+WbgICAgQ=,aO48sAA=
a=recvonly
m=audio 0 RTP/AVP 97
a=control:trackID=1
a=rtpmap:97 MPEG4-GENERIC/48000
a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1188
a=recvonly
m=application 0 RTP/AVP 107
a=control:trackID=4
a=rtpmap:107 vnd.onvif.metadata/90000
a=recvonly
m=audio 0 RTP/AVP 0 8 111
a=control:trackID=5
a=rtpmap:111 opus/48000/2
a=sendonly
`

describe('parseSdp (RFC 8866)', () => {
  test('reads medias, their controls, formats and directions', () => {
    const { name, control, medias } = parseSdp(CAMERA.replaceAll('\n', '\r\n'))

    expect({ name, control }).toEqual({ name: 'Media Server', control: '*' })
    expect(
      medias.map(({ index, kind, control, direction, payloadType, encoding, clockRateHz }) =>
        [index, kind, control, direction, payloadType, encoding, clockRateHz].join(' '),
      ),
    ).toEqual([
      '0 video trackID=0 recvonly 96 H264 90000',
      '1 audio trackID=1 recvonly 97 MPEG4-GENERIC 48000',
      '2 application trackID=4 recvonly 107 VND.ONVIF.METADATA 90000',
      '3 audio trackID=5 sendonly 0 PCMU 8000',
    ])
    // A base64 value has `=` of its own.
    expect(medias[0]!.formatParameters.get('sprop-parameter-sets')).toBe(
      'Z2QAKKwsagHgCJ+WbgICAgQ=,aO48sAA=',
    )
    expect(medias[3]!.formats.map((each) => `${each.encoding}/${each.channels}`)).toEqual([
      'PCMU/1',
      'PCMA/1',
      'OPUS/2',
    ])
  })

  const one = (lines: string) => parseSdp(`v=0\n${lines}`).medias[0]!

  test.each([
    [
      'static payload types need no rtpmap',
      'm=audio 0 RTP/AVP 8',
      { encoding: 'PCMA', clockRateHz: 8000, channels: 1 },
    ],
    [
      'an rtpmap goes before a static type',
      'm=audio 0 RTP/AVP 8\na=rtpmap:8 PCMA/16000',
      { encoding: 'PCMA', clockRateHz: 16_000, channels: null },
    ],
    [
      '10 is stereo L16',
      'm=audio 0 RTP/AVP 10',
      { encoding: 'L16', clockRateHz: 44_100, channels: 2 },
    ],
    [
      'spaces around everything',
      ' m = video 0 RTP/AVP 96 \na=rtpmap: 96  h264 / 90000 ',
      { encoding: 'H264', clockRateHz: 90_000 },
    ],
    [
      'attributes in any case',
      'm=video 0 RTP/AVP 96\na=RTPMAP:96 H265/90000\nA=Control:x',
      { encoding: 'H265' },
    ],
    ['a port with a count', 'm=video 5000/2 RTP/AVP 96\na=rtpmap:96 H264/90000', { port: 5000 }],
    [
      'other RTP profiles',
      'm=video 0 rtp/savpf 96\na=rtpmap:96 H264/90000',
      { protocol: 'RTP/SAVPF' },
    ],
    ['a session level direction', 'a=sendonly\nm=audio 0 RTP/AVP 0', { direction: 'sendonly' }],
    [
      'the first of two controls',
      'm=audio 0 RTP/AVP 0\na=control:a\na=control:b',
      { control: 'a' },
    ],
    [
      'an absolute control, colons and all',
      'm=audio 0 RTP/AVP 0\na=control:rtsp://c:554/x?a=b:c',
      { control: 'rtsp://c:554/x?a=b:c' },
    ],
    [
      'no rtpmap, but H.264 parameter sets',
      'm=video 0 RTP/AVP 96\na=fmtp:96 sprop-parameter-sets=Z0I=,aM4=',
      { encoding: 'H264', clockRateHz: 90_000 },
    ],
    [
      'no rtpmap, but H.265 parameter sets',
      'm=video 0 RTP/AVP 96\na=fmtp:96 sprop-sps=Z0I=',
      { encoding: 'H265' },
    ],
    [
      'nothing that tells the encoding',
      'm=audio 0 RTP/AVP 100',
      { encoding: '', clockRateHz: 8000 },
    ],
    [
      'a repair format before the media',
      'm=video 0 RTP/AVP 97 96\na=rtpmap:97 rtx/90000\na=rtpmap:96 H264/90000',
      { payloadType: 96, encoding: 'H264' },
    ],
    ['a clock rate of 0', 'm=video 0 RTP/AVP 96\na=rtpmap:96 H264/0', { clockRateHz: 90_000 }],
    [
      'a clock rate beyond reason',
      'm=video 0 RTP/AVP 96\na=rtpmap:96 H264/999999999',
      { clockRateHz: 90_000 },
    ],
    [
      'the size of large JPEG pictures',
      'm=video 0 RTP/AVP 26\na=x-dimensions: 2560, 1440',
      { dimensions: { widthPx: 2560, heightPx: 1440 } },
    ],
    [
      'the size as RFC 6064 writes it',
      'm=video 0 RTP/AVP 26\na=framesize:26 1920-1080',
      { dimensions: { widthPx: 1920, heightPx: 1080 } },
    ],
  ])('%s', (_rule, lines, expected) => {
    expect(one(lines)).toMatchObject(expected)
  })

  test.each([
    [
      'a name without a value',
      'usedtx; sprop-stereo=1',
      [
        ['usedtx', ''],
        ['sprop-stereo', '1'],
      ],
    ],
    ['empty parts and a last semicolon', ';; mode = AAC-hbr ;;', [['mode', 'AAC-hbr']]],
    ['names in capitals', 'SizeLength=13', [['sizelength', '13']]],
    ['quotes', 'config="1190"', [['config', '1190']]],
    ['nothing', '', []],
  ])('format parameters: %s', (_rule, text, expected) => {
    const media = one(`m=audio 0 RTP/AVP 96\na=rtpmap:96 x/8000\na=fmtp:96 ${text}`)

    expect([...media.formatParameters]).toEqual(expected)
  })

  test('format parameters on two lines add up', () => {
    const media = one('m=audio 0 RTP/AVP 96\na=fmtp:96 a=1\na=fmtp:96 b=2')

    expect([...media.formatParameters]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  })

  test('a media line that cannot be read is left out with its attributes', () => {
    const { medias } = parseSdp(
      'm=audio 0 RTP/AVP 8\na=control:a\nm=video\na=control:b\na=rtpmap:8 L16/44100\nm=text 0 RTP/AVP 98\na=control:c\nm=video 0 udp 33\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:d',
    )

    expect(medias.map(({ index, encoding, control }) => [index, encoding, control])).toEqual([
      [0, 'PCMA', 'a'],
      [1, 'H264', 'd'],
    ])
  })

  test.each([
    ['nothing', ''],
    ['no media', 'v=0\ns=x'],
    ['a web page', '<html><body>404</body></html>'],
    ['media that is no RTP', 'm=video 1 TCP 96'],
  ])('refuses %s', (_rule, text) => {
    expect(() => parseSdp(text)).toThrow(MalformedMediaError)
  })

  test('a line of spaces takes no longer than its length', () => {
    const spaces = ' '.repeat(200_000)

    expect(parseSdp(`m=audio 0 RTP/AVP 8\na=fmtp:8 a=${spaces};${spaces}`).medias).toHaveLength(1)
  })

  test('has an answer for every description that is cut anywhere', () => {
    for (let end = 0; end <= CAMERA.length; end++) expectAnswer(CAMERA.slice(0, end))
  })

  test('has an answer for damaged descriptions', { timeout: 300_000 }, () => {
    let parsed = 0
    for (const bytes of mutations([Buffer.from(CAMERA)], FUZZ_CASES)) {
      if (expectAnswer(Buffer.from(bytes).toString('latin1'))) parsed++
    }
    expect(parsed).toBeGreaterThan(FUZZ_CASES / 4)
  })
})

/** Medias within bounds, or the one error. */
function expectAnswer(text: string): boolean {
  try {
    for (const media of parseSdp(text).medias) {
      if (!(media.clockRateHz >= 1 && media.clockRateHz <= 10_000_000)) throw new Error(text)
      if (!(media.payloadType >= 0 && media.payloadType <= 127)) throw new Error(text)
    }
    return true
  } catch (error) {
    if (!(error instanceof MalformedMediaError)) throw error
    return false
  }
}
