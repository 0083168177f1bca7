import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/**
 * Opaque tokens that only this service can make: shard iterators and paging tokens. AES-256-GCM;
 * the purpose is authenticated with the content, so that one kind never passes as another.
 *
 * ```
 * 0   8  00 00 00 00 00 00 00 01, as the service's own begin
 * 8  12  nonce: 6 random bytes of this sealer, 6 of a counter, so that none ever comes twice
 * 20 16  authentication tag
 * 36     JSON, padded with spaces so that the whole has 152 + 16k bytes
 * ```
 */
export type TokenSealer = {
  readonly seal: (purpose: string, content: unknown) => string
  /** `null` when the token was not made by `seal` for this purpose with this key. */
  readonly open: (purpose: string, token: string) => unknown
}

const PREFIX = Buffer.from('0000000000000001', 'hex')
const NONCE_AT = 8
const TAG_AT = 20
const CONTENT_AT = 36
const LEAST_CONTENT_BYTES = 152 - CONTENT_AT

/** @param key 32 secret bytes, the same after a restart */
export function createTokenSealer(key: Uint8Array): TokenSealer {
  if (key.byteLength !== 32) throw new RangeError('a token key has 32 bytes')
  const nonceStart = randomBytes(6)
  let sealed = 0
  return {
    seal: (purpose, content) => {
      const nonce = Buffer.alloc(12)
      nonce.set(nonceStart)
      nonce.writeUIntBE(sealed++, 6, 6)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(Buffer.from(purpose))
      const text = padded(Buffer.from(JSON.stringify(content)))
      const hidden = Buffer.concat([cipher.update(text), cipher.final()])
      return Buffer.concat([PREFIX, nonce, cipher.getAuthTag(), hidden]).toString('base64')
    },
    open: (purpose, token) => {
      const bytes = Buffer.from(token, 'base64')
      if (bytes.length <= CONTENT_AT || bytes.toString('base64') !== token) return null
      if (!bytes.subarray(0, NONCE_AT).equals(PREFIX)) return null
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(NONCE_AT, TAG_AT), {
        authTagLength: CONTENT_AT - TAG_AT,
      })
      decipher.setAAD(Buffer.from(purpose))
      decipher.setAuthTag(bytes.subarray(TAG_AT, CONTENT_AT))
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(CONTENT_AT)), decipher.final()])
        return JSON.parse(text.toString()) as unknown
      } catch {
        return null // forged, cut, of another purpose or of another key: all the same to a caller
      }
    },
  }
}

function padded(text: Buffer): Buffer {
  const over = Math.max(0, text.length - LEAST_CONTENT_BYTES)
  const result = Buffer.alloc(LEAST_CONTENT_BYTES + Math.ceil(over / 16) * 16, ' ')
  text.copy(result)
  return result
}
