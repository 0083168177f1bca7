/**
 * Messages to chunks (RTMP 1.0 §5.3). A server that only takes streams sends a few small messages,
 * so every one gets a whole header (type 0) and carries timestamp 0.
 */
export type OutgoingMessage = {
  /** 2..63. */
  readonly chunkStreamId: number
  readonly typeId: number
  readonly messageStreamId: number
  readonly payload: Uint8Array
}

export function toChunks(message: OutgoingMessage, chunkBytes: number): Uint8Array {
  const { payload } = message
  const continuations = Math.max(0, Math.ceil(payload.length / chunkBytes) - 1)
  const bytes = new Uint8Array(12 + payload.length + continuations)
  const view = new DataView(bytes.buffer)
  bytes[0] = message.chunkStreamId
  bytes[4] = payload.length >> 16
  view.setUint16(5, payload.length & 0xffff)
  bytes[7] = message.typeId
  view.setUint32(8, message.messageStreamId, true)

  let offset = 12
  for (let from = 0; from < payload.length; from += chunkBytes) {
    if (from > 0) bytes[offset++] = 0xc0 | message.chunkStreamId
    const piece = payload.subarray(from, from + chunkBytes)
    bytes.set(piece, offset)
    offset += piece.length
  }
  return bytes
}
