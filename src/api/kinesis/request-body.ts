import { ServiceError } from '../../domain/errors.ts'
import type { HttpRequest } from '../http-server.ts'

/** A peer that sends nothing for so long while its body is due is cut off. */
const SILENCE_MS = 60_000

export type BodyReader = {
  /**
   * The whole body, or `null` when it is longer than the limit.
   *
   * @throws `limit-exceeded`/`LimitExceededException` while too many bodies are being received
   */
  readonly read: (request: HttpRequest) => Promise<Buffer | null>
}

/**
 * Bodies are held in memory before anybody is authenticated (the signature covers them), so what
 * all requests together may hold has a bound; a request that would pass it is refused.
 */
export function createBodyReader(limits: {
  readonly maxBytes: number
  readonly maxBytesTogether: number
}): BodyReader {
  let held = 0
  return {
    read: async (request) => {
      if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) return null
      const chunks: Buffer[] = []
      let size = 0
      request.setTimeout(SILENCE_MS, () => request.destroy())
      try {
        for await (const chunk of request as AsyncIterable<Buffer>) {
          chunks.push(chunk)
          size += chunk.length
          held += chunk.length
          if (size > limits.maxBytes) return null
          if (held > limits.maxBytesTogether) throw busy()
        }
      } finally {
        held -= size
      }
      request.setTimeout(0)
      return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
    },
  }
}

function busy(): ServiceError {
  return new ServiceError(
    'limit-exceeded',
    'LimitExceededException',
    'Too many requests are being received. Slow down.',
  )
}
