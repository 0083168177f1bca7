import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import {
  encodeFrame,
  encodeRequest,
  headerOf,
  type RtspResponse,
} from '../../src/ingest/rtsp/message.ts'
import { RtspReader, type RtspItem } from '../../src/ingest/rtsp/message-reader.ts'
import { rtpPacket } from '../ingest/rtp/recording-sink.ts'
import { Recorder } from './recorder.ts'
import { hex } from './fuzz.ts'

/** A peer that says exactly what a test tells it to, right or wrong, over a real socket. */
export class RtspTestClient {
  readonly socket: Socket
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  readonly items = new Recorder<RtspItem>()
  readonly #reader = new RtspReader({
    maxHeaderBytes: 65_536,
    maxBodyBytes: 65_536,
    maxGarbageBytes: 0,
  })
  #sequence = 0
  /** Of the last SETUP. */
  session: string | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined) // a reset is one of the ways to be refused
    socket.on('data', (bytes: Buffer) => {
      this.#reader.push(bytes)
      for (let item = this.#reader.next(); item !== null; item = this.#reader.next()) {
        this.items.push(item)
      }
    })
  }

  /** @param from another address of the loopback network, to be somebody else */
  static async connect(port: number, from = '127.0.0.1'): Promise<RtspTestClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    await once(socket, 'connect')
    return new RtspTestClient(socket)
  }

  /** Over TLS, whoever signed the certificate. */
  static async connectSecurely(port: number): Promise<RtspTestClient> {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new RtspTestClient(socket)
  }

  /** Announced, set up over TCP, recording. */
  static async publishing(port: number, url: string, from?: string): Promise<RtspTestClient> {
    const client = await RtspTestClient.connect(port, from)
    await client.publish(url)
    return client
  }

  async publish(url: string): Promise<void> {
    await this.ready(url)
    await this.expectOk('RECORD', url)
  }

  /** Announced and set up over TCP. */
  async ready(url: string): Promise<void> {
    await this.announce(url)
    await this.setUp(url)
  }

  async announce(url: string, sdp = H264_SDP): Promise<void> {
    await this.expectOk('ANNOUNCE', url, { 'Content-Type': 'application/sdp' }, sdp)
  }

  async setUp(url: string, transport = 'RTP/AVP/TCP;unicast;interleaved=0-1;mode=record') {
    return this.expectOk('SETUP', `${url}/trackID=0`, { Transport: transport })
  }

  send(...parts: readonly (Uint8Array | string)[]): void {
    for (const part of parts) this.socket.write(part)
  }

  /** The answer to a request with the next CSeq and the session's id. */
  async request(
    method: string,
    uri: string,
    headers: Readonly<Record<string, string>> = {},
    body = '',
  ): Promise<RtspResponse> {
    const cseq = String(++this.#sequence)
    const length = body === '' ? [] : [['Content-Length', String(body.length)] as const]
    const session = this.session === null ? [] : [['Session', this.session] as const]
    const all = { ...Object.fromEntries([...session, ...length]), ...headers, CSeq: cseq }
    this.send(encodeRequest({ method, uri, headers: Object.entries(all) }), body)
    const item = await this.items.first(
      (each) => each.kind === 'response' && headerOf(each.headers, 'cseq') === cseq,
    )
    const response = item as RtspResponse
    const id = headerOf(response.headers, 'session')?.split(';')[0] ?? null
    if (method === 'SETUP' && id !== null) this.session = id
    return response
  }

  async status(...request: Parameters<RtspTestClient['request']>): Promise<number> {
    return (await this.request(...request)).status
  }

  async expectOk(...request: Parameters<RtspTestClient['request']>): Promise<RtspResponse> {
    const response = await this.request(...request)
    if (response.status === 200) return response
    throw new Error(`${request[0]} is answered ${response.status} ${response.reason}`)
  }

  frame(channel: number, payload: Uint8Array): void {
    this.send(encodeFrame(channel, payload))
  }

  /** Access units of H.264, all of them key frames, `everyMs` apart. */
  sendKeyFrames(count: number, options: { everyMs?: number; from?: number } = {}): void {
    const { everyMs = 1000, from = 0 } = options
    for (let i = from; i < from + count; i++) {
      for (const packet of keyFrame(i, i * everyMs * 90)) this.frame(0, packet)
    }
  }

  async end(): Promise<void> {
    this.socket.end()
    await this.closed
  }
}

/** By libx264, 322x242. */
export const SPS = hex('674d400deca0a843c4446022000003000200000300781e28532c')
export const PPS = hex('68ebe3cb20')

export const H264_SDP = [
  'v=0',
  'o=- 0 0 IN IP4 127.0.0.1',
  's=test',
  'c=IN IP4 0.0.0.0',
  't=0 0',
  'm=video 0 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  `a=fmtp:96 packetization-mode=1;sprop-parameter-sets=${[SPS, PPS]
    .map((unit) => Buffer.from(unit).toString('base64'))
    .join(',')}`,
  'a=control:trackID=0',
  '',
].join('\r\n')

/** SPS, PPS and a slice; the slice ends with `index` (to 127), so that samples can be told apart. */
export function keyFrame(index: number, timestamp: number, ssrc = 0x1234_5678): Uint8Array[] {
  const units = [SPS, PPS, keySlice(index)]
  return units.map((payload, i) =>
    rtpPacket({ payload, timestamp, sequence: 3 * index + i, marker: i === 2, ssrc }),
  )
}

export function keySlice(index: number): Uint8Array {
  return hex(`658880aabb${(0x80 | index).toString(16)}`) // no zero, which could be padding
}

/** The numbers that {@link keySlice} put into samples. */
export function toIndexes(samples: readonly { readonly data: Uint8Array }[]): number[] {
  return samples.map(({ data }) => data[data.length - 1]! & 0x7f)
}
