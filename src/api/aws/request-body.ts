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
  /** How a body that came in several chunks becomes one piece. */
  readonly join?: (chunks: readonly Buffer[]) => Buffer
}): BodyReader {
  const { join = (chunks) => Buffer.concat(chunks) } = limits
  let held = 0
  return {
    read: async (request) => {
      if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) return 'too-large'
      let size = 0
      request.setTimeout(SILENCE_MS, () => request.destroy())
      try {
        const chunks = await collect(request, (bytes) => {
          size += bytes
          held += bytes
          if (size > limits.maxBytes) return 'too-large'
          return held > limits.maxBytesTogether ? 'busy' : null
        })
        if (!Array.isArray(chunks)) return chunks
        return chunks.length === 1 ? chunks[0]! : join(chunks)
      } finally {
        held -= size
        request.setTimeout(0)
      }
    },
  }
}

/**
 * All chunks up to the end, or what `admit` says against the next one: then the rest is not read, and
 * the answer goes out on the same socket. By events: an iterator costs as much as a small request.
 */
async function collect<R>(
  request: HttpRequest,
  admit: (bytes: number) => R | null,
): Promise<Buffer[] | R> {
  const chunks: Buffer[] = []
  let stop = () => {}
  try {
    return await new Promise<Buffer[] | R>((resolve, reject) => {
      const onData = (chunk: Buffer) => {
        const refusal = admit(chunk.length)
        if (refusal === null) chunks.push(chunk)
        else resolve(refusal)
      }
      const onEnd = () => resolve(chunks)
      const onClose = () => reject(new Error('the connection closed within a body'))
      stop = () => {
        request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', reject)
        request.pause()
      }
      request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', reject)
    })
  } finally {
    stop()
  }
}
