import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { encodeAmf0, type Amf0Answer } from '../../src/ingest/amf/amf0.ts'
import { ChunkStreamReader, type RtmpMessage } from '../../src/ingest/rtmp/chunk-stream.ts'
import { parseCommand, type Command } from '../../src/ingest/rtmp/commands.ts'
import { Recorder } from './recorder.ts'

/** A peer that says exactly what a test tells it to, right or wrong, over a real socket. */
export class RtmpClient {
  readonly socket: Socket
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  readonly messages = new Recorder<RtmpMessage>()
  readonly #reader = new ChunkStreamReader(GENEROUS)
  #handshakeLeft = 1 + 2 * 1536

  private constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined) // a reset is one of the ways to be refused
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
  }

  /** @param from another address of the loopback network, to be somebody else */
  static async connect(port: number, from = '127.0.0.1'): Promise<RtmpClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    await once(socket, 'connect')
    return new RtmpClient(socket)
  }

  /** Over TLS, whoever signed the certificate. */
  static async connectSecurely(port: number): Promise<RtmpClient> {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new RtmpClient(socket)
  }

  /** Connected, shaken hands, `connect` accepted. */
  static async ready(port: number, from?: string): Promise<RtmpClient> {
    const client = await RtmpClient.connect(port, from)
    client.send(handshake())
    client.connectApp()
    await client.command('_result')
    return client
  }

  /** As {@link ready}, and publishing on message stream 1. */
  static async publishing(port: number, name: string, from?: string): Promise<RtmpClient> {
    const client = await RtmpClient.ready(port, from)
    client.publish(name)
    await client.status('NetStream.Publish.Start')
    return client
  }

  send(...parts: readonly Uint8Array[]): void {
    for (const part of parts) this.socket.write(part)
  }

  call(name: string, transactionId: number, ...args: readonly Amf0Answer[]): void {
    const payload = encodeAmf0(name, transactionId, ...args)
    this.send(toMessage({ csid: 3, typeId: 20, payload }))
  }

  connectApp(properties: Record<string, Amf0Answer> = {}): void {
    this.call('connect', 1, { app: 'live', tcUrl: 'rtmp://127.0.0.1/live', ...properties })
  }

  publish(name: string): void {
    this.call('createStream', 2, null)
    const payload = encodeAmf0('publish', 3, null, name, 'live')
    this.send(toMessage({ csid: 4, typeId: 20, streamId: 1, payload }))
  }

  media(typeId: number, timestamp: number, payload: Uint8Array): void {
    this.send(toMessage({ csid: typeId, typeId, streamId: 1, timestamp, payload }))
  }

  /** The first command of this name, past or future. */
  async command(name: string): Promise<Command> {
    const message = await this.messages.first(
      (each) => each.typeId === 20 && parseCommand(20, each.payload).name === name,
    )
    return parseCommand(20, message.payload)
  }

  /** The description of the status with this code. */
  async status(code: string): Promise<string> {
    const message = await this.messages.first((each) => statusOf(each)?.get('code') === code)
    return statusOf(message)!.get('description') as string
  }

  /** Codes of all status messages so far. */
  get statuses(): readonly unknown[] {
    return this.messages.items.flatMap((each) => statusOf(each)?.get('code') ?? [])
  }

  async end(): Promise<void> {
    this.socket.end()
    await this.closed
  }

  #receive(bytes: Buffer): void {
    const skipped = Math.min(this.#handshakeLeft, bytes.length)
    this.#handshakeLeft -= skipped
    if (skipped === bytes.length) return
    this.#reader.push(bytes.subarray(skipped))
    for (let each = this.#reader.next(); each !== null; each = this.#reader.next()) {
      this.messages.push(each)
    }
  }
}

/** C0, C1 and C2; nothing in them depends on the server's answer. */
export function handshake(): Uint8Array {
  const bytes = new Uint8Array(1 + 2 * 1536).fill(0x5a)
  bytes[0] = 3
  bytes.fill(0, 1, 9)
  return bytes
}

export type ChunkParts = {
  readonly format: 0 | 1 | 2 | 3
  /** Its own bytes, so that tests choose among the three forms. */
  readonly basicHeader?: readonly number[]
  readonly csid?: number
  /** Or the delta; 24 bits. */
  readonly timestamp?: number
  readonly length?: number
  readonly typeId?: number
  readonly streamId?: number
  readonly extended?: number
  readonly payload?: Uint8Array
}

/** One chunk, field by field (RTMP 1.0 §5.3.1). */
export function toChunk(parts: ChunkParts): Uint8Array {
  const { format, csid = 3, timestamp = 0, typeId = 9, streamId = 0 } = parts
  const payload = parts.payload ?? new Uint8Array(0)
  const { length = payload.length } = parts
  const header = [...(parts.basicHeader ?? [csid])]
  header[0] = (header[0]! & 0x3f) | (format << 6)
  if (format < 3) header.push(timestamp >> 16, (timestamp >> 8) & 0xff, timestamp & 0xff)
  if (format < 2) header.push(length >> 16, (length >> 8) & 0xff, length & 0xff, typeId)
  if (format < 1) header.push(streamId & 0xff, streamId >> 8, streamId >> 16, streamId >> 24)
  if (parts.extended !== undefined) {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(parts.extended)
    header.push(...bytes)
  }
  return Buffer.concat([Uint8Array.from(header), payload])
}

export type MessageParts = {
  readonly csid: number
  readonly typeId: number
  readonly streamId?: number
  readonly timestamp?: number
  readonly payload: Uint8Array
}

/** A whole message as a type 0 chunk and the type 3 chunks that it needs. */
export function toMessage(message: MessageParts, chunkBytes = 128): Uint8Array {
  const { payload, timestamp = 0, ...ids } = message
  const long = timestamp >= 0xff_ffff
  const time = long ? { timestamp: 0xff_ffff, extended: timestamp } : { timestamp }
  const first = payload.subarray(0, chunkBytes)
  const chunks = [toChunk({ format: 0, ...ids, ...time, length: payload.length, payload: first })]
  for (let from = chunkBytes; from < payload.length; from += chunkBytes) {
    const piece = payload.subarray(from, from + chunkBytes)
    const extended = long ? { extended: timestamp } : {}
    chunks.push(toChunk({ format: 3, csid: message.csid, ...extended, payload: piece }))
  }
  return Buffer.concat(chunks)
}

/** H.264 64x64 and AAC LC 44.1 kHz stereo, as FFmpeg's encoders announce them. */
export const AVC_CONFIG = Uint8Array.from(
  Buffer.from(
    '0142c00affe100176742c00ad90426c044000003000400000300c83c48992001000568cb83cb20',
    'hex',
  ),
)
export const AAC_CONFIG = Uint8Array.of(0x12, 0x10, 0x56, 0xe5, 0)

export const avcHeader = (): Uint8Array => Buffer.from([0x17, 0, 0, 0, 0, ...AVC_CONFIG])
export const aacHeader = (): Uint8Array => Buffer.from([0xaf, 0, ...AAC_CONFIG])

/** A video message body with one NAL unit; the picture in it is none, which ingest cannot tell. */
export function avcFrame(options: {
  readonly isKey: boolean
  readonly compositionMs?: number
  readonly bytes?: readonly number[]
}): Uint8Array {
  const { isKey, compositionMs = 0, bytes = [1, 2, 3] } = options
  const time = [(compositionMs >> 16) & 0xff, (compositionMs >> 8) & 0xff, compositionMs & 0xff]
  const nalUnit = [isKey ? 0x65 : 0x41, ...bytes]
  const length = Buffer.alloc(4)
  length.writeUInt32BE(nalUnit.length)
  return Buffer.from([isKey ? 0x17 : 0x27, 1, ...time, ...length, ...nalUnit])
}

export const aacFrame = (...bytes: readonly number[]): Uint8Array =>
  Buffer.from([0xaf, 1, ...bytes])

const GENEROUS = { maxMessageBytes: 65_536, maxPendingBytes: 1 << 20, maxChunkStreams: 64 }

function statusOf(message: RtmpMessage): ReadonlyMap<string, unknown> | undefined {
  if (message.typeId !== 20) return undefined
  const { name, args } = parseCommand(20, message.payload)
  const info = name === 'onStatus' || name === '_error' ? args.at(-1) : undefined
  return info instanceof Map ? (info as ReadonlyMap<string, unknown>) : undefined
}
