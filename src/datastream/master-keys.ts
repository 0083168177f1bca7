import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'

/** The key that is always there, as the service's own: KMS, "AWS managed keys". */
export const DEFAULT_KEY_ID = 'alias/aws/kinesis'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Wraps data keys with keys that never reach the store (envelope encryption, AES-256-GCM). */
export class MasterKeys {
  readonly #keys: ReadonlyMap<string, Uint8Array>

  /** @param keys 32 bytes each, by key id or alias */
  constructor(keys: ReadonlyMap<string, Uint8Array>) {
    for (const key of keys.values()) {
      if (key.byteLength !== 32) throw new RangeError('a master key has 32 bytes')
    }
    this.#keys = keys
  }

  /** @throws `not-found`/`KMSNotFoundException` */
  wrap(keyId: string, dataKey: Uint8Array): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#find(keyId), nonce)
    const wrapped = Buffer.concat([cipher.update(dataKey), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), wrapped]).toString('base64')
  }

  /**
   * @throws `not-found`/`KMSNotFoundException`; `permission-denied`/`KMSAccessDeniedException` when
   *   the key is another than the one that wrapped it
   */
  unwrap(keyId: string, wrapped: string): Buffer {
    const bytes = Buffer.from(wrapped, 'base64')
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#find(keyId),
      bytes.subarray(0, NONCE_BYTES),
      { authTagLength: TAG_BYTES },
    )
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    try {
      return Buffer.concat([
        decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)),
        decipher.final(),
      ])
    } catch (cause) {
      throw new ServiceError(
        'permission-denied',
        'KMSAccessDeniedException',
        `The key ${keyId} is not the one that the records were encrypted with.`,
        { cause },
      )
    }
  }

  /** @throws `not-found`/`KMSNotFoundException` */
  #find(keyId: string): Uint8Array {
    const key = this.#keys.get(toPlainId(keyId))
    if (key !== undefined) return key
    throw new ServiceError('not-found', 'KMSNotFoundException', `Key ${keyId} does not exist.`)
  }
}

/** A key is named by its id, its alias, or the ARN of either. */
function toPlainId(keyId: string): string {
  return keyId.replace(/^arn:[^:]*:kms:[^:]*:[^:]*:(key\/)?/, '')
}
