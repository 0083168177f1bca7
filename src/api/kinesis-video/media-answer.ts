import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { ServiceError } from '../../domain/errors.ts'
import type { HttpResponse } from '../http-server.ts'

/** An answer that is media: a body without a known end. */
export class MediaAnswer {
  readonly contentType: string
  /** Closed (`return`) when the client is gone. What it throws cuts the answer off. */
  readonly parts: AsyncIterable<Uint8Array>

  constructor(contentType: string, parts: AsyncIterable<Uint8Array>) {
    this.contentType = contentType
    this.parts = parts
  }
}

/**
 * Sends it at the pace of the client.
 *
 * @param stallMs a client that takes nothing for so long is cut loose
 * @throws ServiceError `limit-exceeded`/`SlowReader`; what the parts throw
 */
export async function sendMedia(
  response: HttpResponse,
  { contentType, parts }: MediaAnswer,
  { gone, stallMs }: { readonly gone: AbortSignal; readonly stallMs: number },
): Promise<void> {
  const answer = response as ServerResponse // HTTP/2's compatibility API has the same calls
  answer.statusCode = 200
  answer.setHeader('content-type', contentType)
  answer.flushHeaders()
  for await (const part of parts) {
    if (gone.aborted) return
    if (answer.write(part)) continue
    const stalled = AbortSignal.timeout(stallMs)
    try {
      await once(answer, 'drain', { signal: AbortSignal.any([gone, stalled]) })
    } catch (error) {
      if (gone.aborted) return
      if (!stalled.aborted) throw error
      throw new ServiceError('limit-exceeded', 'SlowReader', `nothing was read for ${stallMs} ms`)
    }
  }
  answer.end()
}
