import { describe, expect, test } from 'vitest'
import { parseAuthentication } from '../../../src/ingest/rtsp/digest.ts'
import { parseMethods, parseSession } from '../../../src/ingest/rtsp/session-header.ts'
import { parseTransports } from '../../../src/ingest/rtsp/transport-header.ts'
import { expectSurvives, FUZZ_CASES } from '../../support/fuzz.ts'

const TCP = { lower: 'tcp', profile: 'RTP/AVP', isMulticast: false }
const UDP = { ...TCP, lower: 'udp' }

describe('Transport', () => {
  test.each([
    {
      rule: 'UDP by default',
      text: 'RTP/AVP;unicast;client_port=5000-5001;mode=record',
      is: [{ ...UDP, clientPort: [5000, 5001], mode: 'record' }],
    },
    {
      rule: 'TCP with channels',
      text: 'RTP/AVP/TCP;unicast;interleaved=4-5;mode=record',
      is: [{ ...TCP, interleaved: [4, 5], mode: 'record' }],
    },
    {
      rule: 'quotes, capitals and spaces',
      text: ' rtp/avp/tcp ; UNICAST ; Interleaved = 0 - 1 ; MODE="RECORD" ; ',
      is: [{ ...TCP, interleaved: [0, 1], mode: 'record' }],
    },
    {
      rule: 'old ffmpeg',
      text: 'RTP/AVP/UDP;unicast;client_port=1-2;mode=receive',
      is: [{ ...UDP, mode: 'receive' }],
    },
    {
      rule: 'preferences behind commas',
      text: 'RTP/AVP;multicast;x="a,b;c",RTP/AVP/TCP;interleaved=0-1,RAW/RAW/UDP',
      is: [
        { ...UDP, isMulticast: true },
        { ...TCP, interleaved: [0, 1] },
      ],
    },
    {
      rule: 'one port stands for two',
      text: 'RTP/AVP;client_port=7000',
      is: [{ clientPort: [7000, 7001] }],
    },
    {
      rule: 'Hikvision: spaces in the SSRC',
      text: 'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= 4ca2 ae1;mode="play"',
      is: [{ ...TCP, ssrc: 0x4ca2ae1, mode: 'play' }],
    },
    {
      rule: 'a source and ports of the server',
      text: 'RTP/AVP;unicast;source=10.0.0.2;client_port=1-2;server_port=6970-6971;ssrc=0000ABCD',
      is: [{ source: '10.0.0.2', serverPort: [6970, 6971], ssrc: 0xabcd }],
    },
    {
      rule: 'values that are none',
      text: 'RTP/AVP;interleaved=300-301;client_port=70000-1;ssrc=xyz;mode=',
      is: [{ interleaved: null, clientPort: null, ssrc: null, mode: null }],
    },
    {
      rule: 'another profile',
      text: 'RTP/SAVP;unicast;client_port=1-2',
      is: [{ profile: 'RTP/SAVP' }],
    },
    { rule: 'nothing', text: ' ;;, ', is: [] },
    { rule: 'something else', text: 'x-pn-tng/tcp', is: [] },
  ])('$rule', ({ text, is }) => {
    const transports = parseTransports(text)

    expect(transports).toHaveLength(is.length)
    expect(transports).toMatchObject(is)
  })
})

test.each([
  { text: '12345678', is: { id: '12345678', timeoutSeconds: 60 } },
  { text: ' 1a ; timeout=30', is: { id: '1a', timeoutSeconds: 30 } },
  { text: '1a;Timeout="5";x', is: { id: '1a', timeoutSeconds: 5 } },
  { text: '1a;timeout=0', is: { id: '1a', timeoutSeconds: 60 } },
  { text: '1a;timeout=never', is: { id: '1a', timeoutSeconds: 60 } },
  { text: ';timeout=5', is: null },
  { text: null, is: null },
])('Session: $text', ({ text, is }) => {
  expect(parseSession(text)).toEqual(is)
})

test('Public: any separator, any case, several headers', () => {
  expect([...parseMethods(['OPTIONS, describe,  SETUP', 'PLAY GET_PARAMETER'])]).toEqual([
    ...['OPTIONS', 'DESCRIBE', 'SETUP', 'PLAY', 'GET_PARAMETER'],
  ])
})

describe('WWW-Authenticate and Authorization', () => {
  const parse = (...values: string[]) =>
    parseAuthentication(values).map(({ scheme, token, parameters }) =>
      [scheme, token, ...[...parameters].map(([name, value]) => `${name}=${value}`)].join('|'),
    )

  test.each([
    {
      rule: 'one Digest',
      values: ['Digest realm="a, b", nonce="c\\"d", stale=TRUE,algorithm=MD5'],
      is: ['digest||realm=a, b|nonce=c"d|stale=TRUE|algorithm=MD5'],
    },
    {
      rule: 'two headers',
      values: ['Basic realm="x"', 'DIGEST nonce=n'],
      is: ['basic||realm=x', 'digest||nonce=n'],
    },
    {
      rule: 'two challenges in one header',
      values: ['Digest realm="x", nonce="n", qop="auth,auth-int", Basic realm="y"'],
      is: ['digest||realm=x|nonce=n|qop=auth,auth-int', 'basic||realm=y'],
    },
    { rule: 'Basic credentials', values: ['Basic eDp5PQ=='], is: ['basic|eDp5PQ=='] },
    { rule: 'a scheme alone', values: ['Negotiate'], is: ['negotiate|'] },
    { rule: 'parameters of nothing', values: ['="x", realm="y"'], is: [] },
    { rule: 'the first of two equal names', values: ['Digest a=1, a=2'], is: ['digest||a=1'] },
    { rule: 'a quote that does not end', values: ['Digest realm="x'], is: ['digest||realm='] },
  ])('$rule', ({ values, is }) => {
    expect(parse(...values)).toEqual(is)
  })
})

test('headers survive whatever comes', () => {
  const seeds = [
    'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= 12 34;mode="record",RTP/AVP;client_port=1-2',
    'Digest realm="a", nonce="b\\"c", qop="auth,auth-int", Basic realm="y", Basic eDp5',
    '12345678;timeout=60;x="y',
    'OPTIONS, DESCRIBE SETUP',
  ].map((text) => Uint8Array.from(Buffer.from(text)))
  const parseAll = (input: Uint8Array) => {
    const text = Buffer.from(input).toString('latin1')
    return [
      parseTransports(text),
      parseSession(text),
      parseMethods([text]),
      parseAuthentication([text]),
    ]
  }
  expect(expectSurvives(seeds, parseAll)).toBeGreaterThan(FUZZ_CASES)
})

test('a header of any length is read in time that grows with it', () => {
  for (const text of [
    'Digest '.repeat(9000),
    'a='.repeat(30_000),
    `Digest x="${'\\'.repeat(60_000)}`,
  ]) {
    expect(parseAuthentication([text]).length).toBeLessThanOrEqual(16)
  }
  expect(parseTransports(`RTP/AVP;${' '.repeat(60_000)}x=${'"'.repeat(60_000)}`)).toHaveLength(1)
})
