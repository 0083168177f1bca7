/** RTSP 1.0 messages (RFC 2326 §4) as values, and their bytes. */
export type RtspRequest = {
  readonly kind: 'request'
  readonly method: string
  /** As it was sent. */
  readonly uri: string
  readonly headers: RtspHeaders
  readonly body: Uint8Array
}

export type RtspResponse = {
  readonly kind: 'response'
  readonly status: number
  readonly reason: string
  readonly headers: RtspHeaders
  readonly body: Uint8Array
}

/** RTP or RTCP between the messages (§10.12). */
export type InterleavedFrame = {
  readonly kind: 'frame'
  readonly channel: number
  /** A view on what was read. */
  readonly payload: Uint8Array
}

/** Names in lower case; the values of repeated headers in their order. */
export type RtspHeaders = ReadonlyMap<string, readonly string[]>

/** The first value of a header; `null` without one. */
export function headerOf(headers: RtspHeaders, name: string): string | null {
  return headers.get(name)?.[0] ?? null
}

export type OutgoingHeaders = readonly (readonly [name: string, value: string])[]

export function encodeRequest(request: {
  readonly method: string
  readonly uri: string
  readonly headers: OutgoingHeaders
}): Buffer {
  return encode(`${request.method} ${request.uri} RTSP/1.0`, request.headers)
}

export function encodeResponse(response: {
  readonly status: number
  /** What ffmpeg shows its user, so it may say more than the standard's words. */
  readonly reason?: string
  readonly headers: OutgoingHeaders
}): Buffer {
  const reason = response.reason ?? REASONS[response.status] ?? 'Error'
  return encode(`RTSP/1.0 ${response.status} ${reason}`, response.headers)
}

export function encodeFrame(channel: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  frame[0] = FRAME_MARK
  frame[1] = channel
  frame.writeUInt16BE(payload.length, 2)
  frame.set(payload, FRAME_HEADER_BYTES)
  return frame
}

/** `$`, channel, length of the payload in two bytes (§10.12). */
export const FRAME_MARK = 0x24
export const FRAME_HEADER_BYTES = 4

function encode(startLine: string, headers: OutgoingHeaders): Buffer {
  // What a peer sent comes back in some values: it must not begin a line of its own.
  const lines = headers.map(([name, value]) => `${name}: ${value.replace(/[\r\n]+/g, ' ')}`)
  return Buffer.from(`${[startLine.replace(/[\r\n]+/g, ' '), ...lines].join('\r\n')}\r\n\r\n`)
}

const REASONS: Record<number, string> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  451: 'Parameter Not Understood',
  453: 'Not Enough Bandwidth',
  454: 'Session Not Found',
  455: 'Method Not Valid in This State',
  459: 'Aggregate Operation Not Allowed',
  461: 'Unsupported Transport',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
}
