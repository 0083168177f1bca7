import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'

/**
 * Seals texts that must be read again, such as a camera's password, so that neither the metadata nor
 * a copy of it gives them away: AES-256-GCM (NIST SP 800-38D) under a key derived by HKDF (RFC 5869)
 * from the data directory's sealing key. A text opens only in the place that it was sealed for.
 */
export type SecretBox = {
  /** @param place what the text belongs to, e.g. a stream's ID */
  seal(text: string, place: string): string
  /** @throws ServiceError `data-loss`/`SecretUnreadable`: made with another key, or for another place */
  open(sealed: string, place: string): string
}

export function createSecretBox(sealingKey: Buffer): SecretBox {
  const key = Buffer.from(hkdfSync('sha256', sealingKey, '', 'kinora secret box 1', 32))
  return {
    seal(text, place) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(place))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed, 'base64')
      const nonce = bytes.subarray(0, NONCE_BYTES)
      const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)
      try {
        const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
        decipher.setAAD(Buffer.from(place)).setAuthTag(tag)
        const body = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES))
        return Buffer.concat([body, decipher.final()]).toString('utf8')
      } catch (cause) {
        throw new ServiceError(
          'data-loss',
          'SecretUnreadable',
          'Stored credentials cannot be opened: they were sealed with another credentials.json.',
          { cause },
        )
      }
    },
  }
}

// nonce (12 bytes) | tag (16 bytes) | text
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
