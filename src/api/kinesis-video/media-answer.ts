import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { ServiceError } from '../../domain/errors.ts'
import type { BytePool } from '../../platform/byte-pool.ts'
import type { Clock } from '../../platform/clock.ts'
import type { HttpResponse } from '../http-server.ts'
import { WaitLimit } from './wait-limit.ts'

/** An answer that is media: a body without a known end. */
export class MediaAnswer {
  readonly contentType: string
  /** Closed (`return`) when the client is gone. What it throws cuts the answer off. */
  readonly parts: AsyncIterable<Uint8Array>
  readonly options: MediaAnswerOptions

  constructor(contentType: string, parts: AsyncIterable<Uint8Array>, options: MediaAnswerOptions) {
    this.contentType = contentType
    this.parts = parts
    this.options = options
  }
}

export type MediaAnswerOptions = {
  /** Gets parts back that were taken from it, when they are sent. */
  readonly memory: BytePool
  /** Of an answer during which the service stops: the client takes it for whole, or sees that not. */
  readonly whenStopped: 'end' | 'break'
}

/**
 * Sends it at the pace of the client.
 *
 * @param stallMs a client that takes nothing for so long is cut loose
 * @throws ServiceError `limit-exceeded`/`SlowReader`; what the parts throw
 */
export async function sendMedia(
  response: HttpResponse,
  { contentType, parts, options: { memory, whenStopped } }: MediaAnswer,
  options: { readonly gone: AbortSignal; readonly stallMs: number; readonly clock: Clock },
): Promise<void> {
  const { gone, stallMs, clock } = options
  const answer = response as ServerResponse // HTTP/2's compatibility API has the same calls
  answer.statusCode = 200
  answer.setHeader('content-type', contentType)
  answer.flushHeaders()
  const stall = new WaitLimit({ clock, limitMs: stallMs, signal: gone })
  try {
    for await (const part of parts) {
      if (gone.aborted) break
      const hasRoom = answer.write(part, () => memory.giveBack(part))
      if (!hasRoom) await stall.during(once(answer, 'drain', { signal: stall.over }))
    }
  } catch (error) {
    if (stall.hasRunOut) {
      throw new ServiceError('limit-exceeded', 'SlowReader', `nothing was read for ${stallMs} ms`)
    }
    if (!gone.aborted) throw error
  } finally {
    stall[Symbol.dispose]()
  }
  if (gone.aborted && whenStopped === 'break') answer.destroy()
  else if (!answer.destroyed) answer.end()
}
