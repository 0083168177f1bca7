import { describe, expect, test } from 'vitest'
import { encodeFrame, encodeRequest, encodeResponse } from '../../../src/ingest/rtsp/message.ts'
import { RtspReader, type RtspLimits } from '../../../src/ingest/rtsp/message-reader.ts'
import { RtspProtocolError } from '../../../src/ingest/rtsp/rtsp-error.ts'
import { createRandom, expectSurvives, FUZZ_CASES, mutations } from '../../support/fuzz.ts'

const TOLERANT: RtspLimits = { maxHeaderBytes: 1024, maxBodyBytes: 4096, maxGarbageBytes: 100_000 }
const STRICT: RtspLimits = { ...TOLERANT, maxGarbageBytes: 0 }

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))
const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))

/** What comes out, one line each: short enough to compare at a glance. */
function read(parts: Iterable<Uint8Array>, limits = TOLERANT): string[] {
  const reader = new RtspReader(limits)
  const items: string[] = []
  for (const part of parts) {
    reader.push(part)
    for (let item = reader.next(); item !== null; item = reader.next()) {
      if (item.kind === 'frame') {
        items.push(`$${item.channel}:${Buffer.from(item.payload).toString('hex')}`)
        continue
      }
      const start =
        item.kind === 'request' ? `${item.method} ${item.uri}` : `${item.status} ${item.reason}`
      const headers = [...item.headers].map(([name, values]) => `${name}=${values.join('|')}`)
      items.push([start, ...headers, Buffer.from(item.body).toString('latin1')].join(' ; '))
    }
  }
  return items
}

const RTP = Uint8Array.of(0x80, 0x60, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5)
const RTP_HEX = Buffer.from(RTP).toString('hex')
const FRAME = encodeFrame(0, RTP)

describe('what is read', () => {
  test.each([
    {
      rule: 'a request with a body',
      sent: 'ANNOUNCE rtsp://h/x RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nv=0',
      read: ['ANNOUNCE rtsp://h/x ; cseq=2 ; content-length=3 ; v=0'],
    },
    {
      rule: 'a response without a reason, and empty lines before it',
      sent: '\r\n\r\nRTSP/1.0 200\r\nCSeq:7\r\n\r\n',
      read: ['200  ; cseq=7 ; '],
    },
    {
      rule: 'lines that end with LF alone, and methods in small letters',
      sent: 'options * RTSP/1.0\nCSeq: 1\n\n',
      read: ['OPTIONS * ; cseq=1 ; '],
    },
    {
      rule: 'trailing spaces, as Longse and OMNY write them',
      sent: 'RTSP/1.0 200 OK  \r\nSession:  12;timeout=60  \r\nCSeq: 1 \r\n\r\n',
      read: ['200 OK ; session=12;timeout=60 ; cseq=1 ; '],
    },
    {
      rule: 'a repeated header in its order, and one that goes on in the next line',
      sent: 'RTSP/1.0 401 No\r\nWWW-Authenticate: A\r\nX: 1\r\n 2\r\nwww-authenticate: B\r\n\r\n',
      read: ['401 No ; www-authenticate=A|B ; x=1 2 ; '],
    },
    {
      rule: 'a header line without a colon is left out',
      sent: 'RTSP/1.0 200 OK\r\nnonsense\r\nCSeq: 1\r\n\r\n',
      read: ['200 OK ; cseq=1 ; '],
    },
    {
      rule: 'a URL with spaces in it',
      sent: 'SETUP rtsp://h/a b/track RTSP/1.0\r\n\r\n',
      read: ['SETUP rtsp://h/a b/track ; '],
    },
    {
      rule: 'a method that nobody knows is still a request',
      sent: 'FLY rtsp://h/ RTSP/2.0\r\n\r\n',
      read: ['FLY rtsp://h/ ; '],
    },
  ])('$rule', ({ sent, read: expected }) => {
    expect(read([bytes(sent)], STRICT)).toEqual(expected)
  })

  test('frames between messages, of any length and on any channel', () => {
    const long = new Uint8Array(65_535).fill(7)
    const sent = join(
      FRAME,
      bytes('OPTIONS * RTSP/1.0\r\n\r\n'),
      encodeFrame(255, long),
      encodeFrame(3, new Uint8Array(0)),
    )
    expect(read([sent], STRICT)).toEqual([
      `$0:${RTP_HEX}`,
      'OPTIONS * ; ',
      `$255:${Buffer.from(long).toString('hex')}`,
      '$3:',
    ])
  })
})

describe('a lost place in the stream', () => {
  test.each([
    { rule: 'a frame follows', garbage: [0, 1, 2, 0xff], then: FRAME, read: [`$0:${RTP_HEX}`] },
    {
      rule: 'a response follows',
      garbage: [9, 9, 9],
      then: bytes('RTSP/1.0 200 OK\r\n\r\n'),
      read: ['200 OK ; '],
    },
    {
      rule: 'a dollar that begins no frame of RTP: too long',
      garbage: [1, 0x24, 0, 0xff, 0xff, 0x80],
      then: FRAME,
      read: [`$0:${RTP_HEX}`],
    },
    {
      rule: 'a dollar that begins no frame of RTP: another version',
      garbage: [1, 0x24, 0, 0, 9, 0x40],
      then: FRAME,
      read: [`$0:${RTP_HEX}`],
    },
    {
      rule: 'a dollar on a channel that nobody uses',
      garbage: [1, 0x24, 99, 0, 9, 0x80],
      then: FRAME,
      read: [`$0:${RTP_HEX}`],
    },
    {
      rule: 'text that is no start line',
      garbage: [...bytes('hello world\r\n\r\n')],
      then: FRAME,
      read: [`$0:${RTP_HEX}`],
    },
    {
      rule: 'the beginning of a method that does not go on',
      garbage: [1, ...bytes('TEAR'), 2],
      then: FRAME,
      read: [`$0:${RTP_HEX}`],
    },
  ])('is found again when $rule', ({ garbage, then, read: expected }) => {
    const sent = join(FRAME, Uint8Array.from(garbage), then)
    expect(read([sent])).toEqual([`$0:${RTP_HEX}`, ...expected])
    expect(() => read([sent], STRICT)).toThrow(RtspProtocolError)
  })

  test('is looked for no longer than the limit allows', () => {
    const garbage = new Uint8Array(TOLERANT.maxGarbageBytes + 1)
    expect(() => read([garbage])).toThrow('neither a message nor a frame')
    expect(read([garbage.subarray(1), FRAME])).toEqual([`$0:${RTP_HEX}`])
  })
})

test.each([
  { rule: 'headers without an end', sent: `OPTIONS * RTSP/1.0\r\nX: ${'x'.repeat(1024)}` },
  { rule: 'a body beyond the limit', sent: 'A b RTSP/1.0\r\nContent-Length: 4097\r\n\r\n' },
  { rule: 'a negative length', sent: 'A b RTSP/1.0\r\nContent-Length: -1\r\n\r\n' },
  { rule: 'a length with letters', sent: 'A b RTSP/1.0\r\nContent-Length: 1e3\r\n\r\n' },
  {
    rule: 'two lengths that differ',
    sent: 'A b RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  },
])('$rule: the connection ends', ({ sent }) => {
  expect(() => read([bytes(sent)])).toThrow(RtspProtocolError)
})

test('a line break in what is answered begins no header of its own', () => {
  const answer = encodeResponse({ status: 200, headers: [['CSeq', '1\r\nX-Evil: 1']] })
  expect(read([answer])).toEqual(['200 OK ; cseq=1 X-Evil: 1 ; '])
})

const CONVERSATION = join(
  encodeRequest({ method: 'OPTIONS', uri: 'rtsp://h/x', headers: [['CSeq', '1']] }),
  bytes('ANNOUNCE rtsp://h/x RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\nv=0\r\n'),
  FRAME,
  encodeFrame(1, Uint8Array.of(0x81, 0xc8, 0, 1, 0, 0, 0, 0)),
  bytes('\r\nRTSP/1.0 200 OK\nCSeq: 3\n\n'),
  Uint8Array.of(0, 0x24, 0x24, 0, 0, 7),
  FRAME,
  bytes('GET /live HTTP/1.1\r\nHost: h\r\n\r\n'),
  bytes('TEARDOWN rtsp://h/x RTSP/1.0\r\nCSeq: 4\r\n\r\n'),
)

describe('split', () => {
  const whole = read([CONVERSATION])

  test('into single bytes, and in two at every byte: the same as whole', () => {
    expect(whole).toHaveLength(7)
    expect(read(Array.from(CONVERSATION, (byte) => Uint8Array.of(byte)))).toEqual(whole)
    for (let at = 1; at < CONVERSATION.length; at++) {
      expect(read([CONVERSATION.subarray(0, at), CONVERSATION.subarray(at)])).toEqual(whole)
    }
  })

  test('anyhow, and changed anyhow: the same as whole', () => {
    const random = createRandom(7)
    for (const mutated of mutations([CONVERSATION], FUZZ_CASES / 4)) {
      const outcome = (parts: readonly Uint8Array[]) => {
        const items: string[] = []
        try {
          items.push(...read(parts))
        } catch (error) {
          if (!(error instanceof RtspProtocolError)) throw error
          items.push(error.message)
        }
        return items
      }
      const parts: Uint8Array[] = []
      for (let from = 0; from < mutated.length;) {
        const length = 1 + Math.floor(random() * 40)
        parts.push(mutated.subarray(from, from + length))
        from += length
      }
      expect(outcome(parts)).toEqual(outcome([mutated]))
    }
  })
})

test('survives whatever comes', () => {
  const seeds = [
    CONVERSATION,
    bytes('ANNOUNCE rtsp://h/x RTSP/1.0\r\nContent-Length: 9\r\nContent-Length: 9\r\n\r\nv=0'),
    join(bytes('RTSP/1.0 200 OK\r\nContent-Length: 300\r\n\r\n'), new Uint8Array(300)),
  ]
  expect(expectSurvives(seeds, (input) => read([input]))).toBeGreaterThan(FUZZ_CASES / 2)
})

test('memory follows what waits, not what was announced', () => {
  const reader = new RtspReader({ ...TOLERANT, maxBodyBytes: 1 << 30 })
  reader.push(bytes('A b RTSP/1.0\r\nContent-Length: 1000000000\r\n\r\n'))
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 1000; i++) reader.push(new Uint8Array(10))
  expect(reader.next()).toBeNull()
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
})
