import { AUDIO_FOURCCS } from '../flv/audio-body.ts'
import { VIDEO_FOURCCS } from '../flv/video-body.ts'
import { decodeAmf0, encodeAmf0, type Amf0Answer } from '../amf/amf0.ts'
import type { AmfObject, AmfValue } from '../amf/amf-cursor.ts'
import type { OutgoingMessage } from './chunk-writer.ts'
import { RtmpProtocolError } from './rtmp-error.ts'

/** NetConnection and NetStream commands (RTMP 1.0 §7.2): parsed once, here, and the answers. */
export type Command = {
  readonly name: string
  readonly transactionId: number
  /** The command object and everything behind it. */
  readonly args: readonly AmfValue[]
}

export const TYPE_ACKNOWLEDGEMENT = 3
export const TYPE_USER_CONTROL = 4
export const TYPE_WINDOW_ACK_SIZE = 5
export const TYPE_SET_PEER_BANDWIDTH = 6
export const TYPE_AUDIO = 8
export const TYPE_VIDEO = 9
export const TYPE_DATA_AMF3 = 15
export const TYPE_COMMAND_AMF3 = 17
export const TYPE_DATA_AMF0 = 18
export const TYPE_COMMAND_AMF0 = 20
export const TYPE_AGGREGATE = 22

const EVENT_STREAM_BEGIN = 0
const EVENT_PING_REQUEST = 6
const EVENT_PING_RESPONSE = 7

const CONTROL_CHUNK_STREAM = 2
const COMMAND_CHUNK_STREAM = 3
const STATUS_CHUNK_STREAM = 5

/** @throws RtmpProtocolError */
export function parseCommand(typeId: number, payload: Uint8Array): Command {
  const values = decodeAmf0(amf0Part(typeId, payload))
  const [name, transactionId, ...args] = values
  if (typeof name !== 'string') throw new RtmpProtocolError('a command without a name')
  return { name, transactionId: typeof transactionId === 'number' ? transactionId : 0, args }
}

export function isData(typeId: number): boolean {
  return typeId === TYPE_DATA_AMF0 || typeId === TYPE_DATA_AMF3
}

/** Data message values (§7.1.2). @throws RtmpProtocolError */
export function parseData(typeId: number, payload: Uint8Array): readonly AmfValue[] {
  return decodeAmf0(amf0Part(typeId, payload))
}

/** The AMF 3 message types carry AMF 0 behind one byte of format, 0 (§7.1.1). */
export function amf0Part(typeId: number, payload: Uint8Array): Uint8Array {
  const amf3 = typeId === TYPE_COMMAND_AMF3 || typeId === TYPE_DATA_AMF3
  return amf3 && payload[0] === 0 ? payload.subarray(1) : payload
}

export type ConnectRequest = {
  readonly app: string
  /** `?key=` of the URL, for clients that keep the query with it; `null` when there is none. */
  readonly key: string | null
}

/**
 * @throws RtmpProtocolError when `app` or `tcUrl` is missing or is none
 */
export function parseConnect(command: Command): ConnectRequest {
  const [object] = command.args
  const properties = object instanceof Map ? (object as AmfObject) : null
  const app = properties?.get('app')
  const tcUrl = properties?.get('tcUrl')
  if (typeof app !== 'string') throw new RtmpProtocolError('connect without an app')
  if (typeof tcUrl !== 'string') throw new RtmpProtocolError('connect without a tcUrl')
  if (!URL.canParse(tcUrl)) throw new RtmpProtocolError('connect with a tcUrl that is no URL')
  const url = new URL(tcUrl)
  if (url.protocol !== 'rtmp:' && url.protocol !== 'rtmps:') {
    throw new RtmpProtocolError('connect with a tcUrl that is not of RTMP')
  }
  const named = splitQuery(app)
  return {
    app: named.path.replace(/^\/+|\/+$/g, ''),
    key: url.searchParams.get('key') ?? named.key,
  }
}

export type PublishRequest = { readonly stream: string; readonly key: string | null }

/** `publish` has the stream's name, with its key as a query, and a type that we need not know. */
export function parsePublish(command: Command): PublishRequest {
  const name = command.args[1]
  if (typeof name !== 'string') throw new RtmpProtocolError('publish without a stream name')
  const { path, key } = splitQuery(name)
  return { stream: path.replace(/^\/+|\/+$/g, ''), key }
}

function splitQuery(text: string): { readonly path: string; readonly key: string | null } {
  const at = text.indexOf('?')
  if (at < 0) return { path: text, key: null }
  return { path: text.slice(0, at), key: new URLSearchParams(text.slice(at + 1)).get('key') }
}

export function acknowledgement(receivedBytes: number): OutgoingMessage {
  return control(TYPE_ACKNOWLEDGEMENT, uint32(receivedBytes >>> 0))
}

export function windowAckSize(bytes: number): OutgoingMessage {
  return control(TYPE_WINDOW_ACK_SIZE, uint32(bytes))
}

/** Of Window Acknowledgement Size and Set Peer Bandwidth (§5.4.4, §5.4.5); `null` when it is none. */
export function parseWindow(payload: Uint8Array): number | null {
  if (payload.length < 4) return null
  const bytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
  return bytes > 0 ? bytes : null
}

/** §5.4.5; 2 = dynamic. */
export function setPeerBandwidth(bytes: number): OutgoingMessage {
  return control(TYPE_SET_PEER_BANDWIDTH, Buffer.concat([uint32(bytes), Uint8Array.of(2)]))
}

export function setChunkSize(bytes: number): OutgoingMessage {
  return control(1, uint32(bytes))
}

export function streamBegin(messageStreamId: number): OutgoingMessage {
  return userControl(EVENT_STREAM_BEGIN, messageStreamId)
}

export function pingRequest(timestamp: number): OutgoingMessage {
  return userControl(EVENT_PING_REQUEST, timestamp)
}

/** The answer to a ping; `null` for every other user control message (§6.2, §7.1.7). */
export function answerUserControl(payload: Uint8Array): OutgoingMessage | null {
  if (payload.length < 6) return null
  const view = new DataView(payload.buffer, payload.byteOffset)
  if (view.getUint16(0) !== EVENT_PING_REQUEST) return null
  return userControl(EVENT_PING_RESPONSE, view.getUint32(2))
}

const EVENT_STREAM_EOF = 1
const EVENT_SET_BUFFER_LENGTH = 3

/** §7.1.7: "playback of data is over". */
export function isStreamEnd(payload: Uint8Array): boolean {
  return payload.length >= 6 && payload[0] === 0 && payload[1] === EVENT_STREAM_EOF
}

export function setBufferLength(messageStreamId: number, ms: number): OutgoingMessage {
  const value = Buffer.concat([uint32(messageStreamId), uint32(ms)])
  const event = Uint8Array.of(0, EVENT_SET_BUFFER_LENGTH)
  return control(TYPE_USER_CONTROL, Buffer.concat([event, value]))
}

/** What a client asks for. */
export function toCommand(
  messageStreamId: number,
  name: string,
  ...values: readonly Amf0Answer[]
): OutgoingMessage {
  const payload = encodeAmf0(name, ...values)
  const typeId = TYPE_COMMAND_AMF0
  return { chunkStreamId: COMMAND_CHUNK_STREAM, typeId, messageStreamId, payload }
}

export function connectAccepted(transactionId: number): OutgoingMessage {
  return command(
    '_result',
    transactionId,
    {
      fmsVer: 'FMS/3,5,7,7009',
      capabilities: 31,
      ...ENHANCED,
    },
    {
      level: 'status',
      code: 'NetConnection.Connect.Success',
      description: 'Connected.',
      objectEncoding: 0,
    },
  )
}

const FOURCC_CAN_FORWARD = 4
const CAPS_MULTITRACK = 2
const CAPS_MOD_EX = 4

/** Enhanced RTMP v2, "Enhancing NetConnection connect Command": said by us as server and as client. */
export const ENHANCED: Record<string, Amf0Answer> = {
  fourCcList: [...VIDEO_FOURCCS, ...AUDIO_FOURCCS],
  videoFourCcInfoMap: infoMap(VIDEO_FOURCCS),
  audioFourCcInfoMap: infoMap(AUDIO_FOURCCS),
  capsEx: CAPS_MULTITRACK | CAPS_MOD_EX,
}

function infoMap(fourCcs: readonly string[]): Record<string, number> {
  return Object.fromEntries(fourCcs.map((fourCc) => [fourCc, FOURCC_CAN_FORWARD]))
}

export function connectRejected(transactionId: number, description: string): OutgoingMessage {
  return command('_error', transactionId, null, {
    level: 'error',
    code: 'NetConnection.Connect.Rejected',
    description,
  })
}

export function result(transactionId: number, ...values: readonly Amf0Answer[]): OutgoingMessage {
  return command('_result', transactionId, null, ...values)
}

export function callFailed(transactionId: number): OutgoingMessage {
  return command('_error', transactionId, null, {
    level: 'error',
    code: 'NetConnection.Call.Failed',
    description: 'This server has no such method.',
  })
}

/** What Flash Media Live Encoder waits for after FCPublish. */
export function onFcPublish(): OutgoingMessage {
  return command('onFCPublish', 0, null, {
    level: 'status',
    code: 'NetStream.Publish.Start',
    description: 'FCPublish.',
  })
}

export type NetStreamStatus =
  | 'NetStream.Publish.Start'
  | 'NetStream.Publish.BadName'
  | 'NetStream.Publish.Unauthorized'
  | 'NetStream.Publish.Failed'
  | 'NetStream.Play.Failed'
  | 'NetStream.Unpublish.Success'

export function onStatus(
  messageStreamId: number,
  code: NetStreamStatus,
  description: string,
): OutgoingMessage {
  const level = /\.(Start|Success)$/.test(code) ? 'status' : 'error'
  return {
    chunkStreamId: STATUS_CHUNK_STREAM,
    typeId: TYPE_COMMAND_AMF0,
    messageStreamId,
    payload: encodeAmf0('onStatus', 0, null, { level, code, description }),
  }
}

function command(
  name: string,
  transactionId: number,
  ...values: readonly Amf0Answer[]
): OutgoingMessage {
  return {
    chunkStreamId: COMMAND_CHUNK_STREAM,
    typeId: TYPE_COMMAND_AMF0,
    messageStreamId: 0,
    payload: encodeAmf0(name, transactionId, ...values),
  }
}

function userControl(event: number, value: number): OutgoingMessage {
  return control(TYPE_USER_CONTROL, Buffer.concat([Uint8Array.of(0, event), uint32(value)]))
}

function control(typeId: number, payload: Uint8Array): OutgoingMessage {
  return { chunkStreamId: CONTROL_CHUNK_STREAM, typeId, messageStreamId: 0, payload }
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
