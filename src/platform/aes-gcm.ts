import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
/** What {@link sealBytes} adds. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/**
 * AES-256-GCM with a random nonce: nonce (12 bytes), authentication tag (16), ciphertext. For keys that
 * encrypt few texts, of which NIST SP 800-38D §8.3 allows 2^32.
 *
 * @param also authenticated with it, not part of it
 */
export function sealBytes(key: Uint8Array, text: Uint8Array, also: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(also)
  const hidden = Buffer.concat([cipher.update(text), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), hidden])
}

/** @throws when `sealed` was not made with this key, is not whole, or `also` is another */
export function openSealed(key: Uint8Array, sealed: Uint8Array, also: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(also)
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, SEAL_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(SEAL_BYTES)), decipher.final()])
}
