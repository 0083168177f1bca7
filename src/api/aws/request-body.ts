import type { HttpRequest } from '../http-server.ts'

/** A peer that sends nothing for so long while its body is due is cut off. */
const SILENCE_MS = 60_000

export type BodyReader = {
  /**
   * The whole body, or why it was not read: it is longer than the limit, or too many bodies are
   * being received at once.
   *
   * @throws when the connection breaks off
   */
  readonly read: (request: HttpRequest) => Promise<Buffer | 'too-large' | 'busy'>
}

/**
 * Bodies are held in memory before anybody is authenticated, since the signature covers them. So
 * there is a bound to what all requests together may hold while they are being received, and a
 * request that would pass it is refused.
 */
export function createBodyReader(limits: {
  readonly maxBytes: number
  readonly maxBytesTogether: number
}): BodyReader {
  let held = 0
  return {
    read: async (request) => {
      if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) return 'too-large'
      const chunks: Buffer[] = []
      let size = 0
      request.setTimeout(SILENCE_MS, () => request.destroy())
      try {
        // Not destroyed on an early return: the answer goes out on the same socket.
        for await (const chunk of request.iterator({ destroyOnReturn: false })) {
          const bytes = chunk as Buffer
          chunks.push(bytes)
          size += bytes.length
          held += bytes.length
          if (size > limits.maxBytes) return 'too-large'
          if (held > limits.maxBytesTogether) return 'busy'
        }
        return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
      } finally {
        held -= size
        request.setTimeout(0)
      }
    },
  }
}
