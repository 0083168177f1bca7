import { ServiceError } from '../domain/errors.ts'
import { openSealed, sealBytes } from '../platform/aes-gcm.ts'

/** The key that is always there, as the service's own: KMS, "AWS managed keys". */
export const DEFAULT_KEY_ID = 'alias/aws/kinesis'

const NOTHING_ELSE = new Uint8Array()

/** Whoever can wrap a data key, and unwrap it again: a key in memory, or a command that asks elsewhere. */
export type KeyWrapper = {
  readonly wrap: (dataKey: Uint8Array) => Promise<string>
  /** @throws when this is not what wrapped it */
  readonly unwrap: (wrapped: string) => Promise<Buffer>
}

/** Wraps data keys with keys that never reach the store (envelope encryption). */
export class MasterKeys {
  readonly #keys: ReadonlyMap<string, KeyWrapper>

  /** @param keys by key id or alias: 32 bytes each, or what wraps in their place */
  constructor(keys: ReadonlyMap<string, Uint8Array | KeyWrapper>) {
    this.#keys = new Map(
      [...keys].map(([id, key]) => [id, key instanceof Uint8Array ? keyInMemory(key) : key]),
    )
  }

  /** @throws `not-found`/`KMSNotFoundException`; `unavailable`/`KMSInvalidStateException` */
  async wrap(keyId: string, dataKey: Uint8Array): Promise<string> {
    return this.#find(keyId).wrap(dataKey)
  }

  /**
   * @throws as {@link wrap}; `permission-denied`/`KMSAccessDeniedException` when the key is another
   *   than the one that wrapped it
   */
  async unwrap(keyId: string, wrapped: string): Promise<Buffer> {
    const key = this.#find(keyId)
    try {
      return await key.unwrap(wrapped)
    } catch (cause) {
      if (cause instanceof ServiceError) throw cause
      throw new ServiceError(
        'permission-denied',
        'KMSAccessDeniedException',
        `The key ${keyId} is not the one that the records were encrypted with.`,
        { cause },
      )
    }
  }

  /** @throws `not-found`/`KMSNotFoundException` */
  #find(keyId: string): KeyWrapper {
    const key = this.#keys.get(toPlainId(keyId))
    if (key !== undefined) return key
    throw new ServiceError('not-found', 'KMSNotFoundException', `Key ${keyId} does not exist.`)
  }
}

function keyInMemory(key: Uint8Array): KeyWrapper {
  if (key.byteLength !== 32) throw new RangeError('a master key has 32 bytes')
  return {
    wrap: (dataKey) => Promise.resolve(sealBytes(key, dataKey, NOTHING_ELSE).toString('base64')),
    unwrap: async (wrapped) => openSealed(key, Buffer.from(wrapped, 'base64'), NOTHING_ELSE),
  }
}

/** A key is named by its id, its alias, or the ARN of either. */
function toPlainId(keyId: string): string {
  return keyId.replace(/^arn:[^:]*:kms:[^:]*:[^:]*:(key\/)?/, '')
}
