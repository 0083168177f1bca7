import { once } from 'node:events'
import type { HttpResponse } from '../http-server.ts'
import { jsonCodec, type Codec } from '../aws/codec.ts'
import { encodeFrame, EVENT_STREAM_TYPE, type EventStream } from './event-stream.ts'
import type { WireError } from './errors.ts'

/** A peer that takes nothing for so long is cut off; heartbeats come far more often. */
const STALLED_MS = 60_000

/**
 * Sends the events of a stream as frames, the next when the connection took the last: a slow client
 * holds one event and its own socket's buffer, no more. A failure becomes the last frame.
 *
 * @param gone aborts when the client is gone; then there is nobody to tell anything
 */
export async function sendEventStream(
  response: HttpResponse,
  { events }: EventStream,
  codec: Codec,
  options: {
    readonly gone: AbortSignal
    readonly toWireError: (error: unknown) => WireError
  },
): Promise<void> {
  const { gone } = options
  const contentType = codec === jsonCodec ? 'application/json' : codec.contentType
  const send = async (kind: Readonly<Record<string, string>>, payload: Buffer) => {
    const frame = encodeFrame({ ...kind, ':content-type': contentType }, payload)
    if (!write(response, frame)) await once(response, 'drain', { signal: gone })
  }
  response.setHeader('content-type', EVENT_STREAM_TYPE)
  response.setTimeout(STALLED_MS, () => response.destroy())
  try {
    await send({ ':message-type': 'event', ':event-type': 'initial-response' }, codec.render({}))
    for await (const { type, payload } of events) {
      await send({ ':message-type': 'event', ':event-type': type }, payload)
    }
  } catch (error) {
    if (gone.aborted) return
    const { type, message } = options.toWireError(error)
    const name = type === 'InternalFailure' ? 'InternalFailureException' : type
    const payload = codec.render({ message })
    await send({ ':message-type': 'exception', ':exception-type': name }, payload)
  } finally {
    response.setTimeout(0)
    response.end()
  }
}

/** The two protocols' responses overload `write` differently. */
function write(response: HttpResponse, bytes: Buffer): boolean {
  return (response as { write(chunk: Buffer): boolean }).write(bytes)
}
