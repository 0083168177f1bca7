import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { MetaKey, MetaStore } from '../platform/meta-store.ts'
import type { MasterKeys } from './master-keys.ts'

const NONCE_AT = 4
const TAG_AT = 16
const TEXT_AT = 32

/** `datastream data-key <stream created at> <number>` */
type DataKeyRow = { readonly keyId: string; readonly wrapped: string }
const dataKeyKey = (stream: EpochMs, number: number): MetaKey => [
  'datastream',
  'data-key',
  stream,
  number,
]

type DataKey = { readonly number: number; readonly keyId: string; readonly key: Buffer }

/**
 * Encrypts the records of one generation of a stream. What a log holds of one, its key included:
 *
 * ```
 *  0  4  number of the data key          16 16  authentication tag
 *  4 12  nonce: a counter                32     length of the key u16, key (UTF-8), data; AES-256-GCM
 * ```
 *
 * The shard is authenticated with it. Every start makes a data key of its own before it encrypts, so
 * that a counter as nonce never comes twice under one key.
 */
export class StreamCipher {
  readonly #meta: MetaStore
  readonly #masterKeys: MasterKeys
  readonly #stream: EpochMs
  readonly #keys = new Map<number, Buffer>()
  /** Keys that are being unwrapped. */
  readonly #learning = new Map<number, Promise<void>>()
  #current: DataKey | null = null
  #making: Promise<void> | null = null
  #sealed = 0

  constructor(parts: { meta: MetaStore; masterKeys: MasterKeys; stream: EpochMs }) {
    this.#meta = parts.meta
    this.#masterKeys = parts.masterKeys
    this.#stream = parts.stream
  }

  /** @throws `not-found`/`KMSNotFoundException`: the key to wrap with is not there */
  async use(keyId: string): Promise<void> {
    while (this.#current?.keyId !== keyId) {
      this.#making ??= this.#makeKey(keyId).finally(() => (this.#making = null))
      await this.#making
    }
  }

  /** On disk before anything is encrypted with it. */
  async #makeKey(keyId: string): Promise<void> {
    const key = randomBytes(32)
    const row: DataKeyRow = { keyId, wrapped: await this.#masterKeys.wrap(keyId, key) }
    let number = 0
    while (this.#meta.get(dataKeyKey(this.#stream, number)) !== null) number += 1
    await this.#meta.commit({ puts: [{ key: dataKeyKey(this.#stream, number), value: row }] })
    this.#keys.set(number, key)
    this.#sealed = 0
    this.#current = { number, keyId, key }
  }

  /** After {@link use}. */
  seal(shard: number, record: { readonly key: string; readonly data: Uint8Array }): Buffer {
    const { number, key } = this.#current!
    const keyBytes = Buffer.byteLength(record.key)
    const text = Buffer.allocUnsafe(2 + keyBytes + record.data.byteLength)
    text.writeUInt16BE(keyBytes, 0)
    text.write(record.key, 2)
    text.set(record.data, 2 + keyBytes)
    const head = Buffer.alloc(TEXT_AT)
    head.writeUInt32BE(number, 0)
    head.writeUIntBE(this.#sealed++, NONCE_AT + 6, 6)
    const cipher = createCipheriv('aes-256-gcm', key, head.subarray(NONCE_AT, TAG_AT))
    cipher.setAAD(aadOf(shard))
    const hidden = cipher.update(text)
    cipher.final()
    cipher.getAuthTag().copy(head, TAG_AT)
    return Buffer.concat([head, hidden])
  }

  /**
   * Unwraps the data keys of what is about to be unsealed.
   *
   * @throws `data-loss`/`RecordUndecipherable`, and what {@link MasterKeys.unwrap} throws
   */
  async learn(sealed: readonly Buffer[]): Promise<void> {
    const unknown = new Set(sealed.map(numberOf).filter((number) => !this.#keys.has(number)))
    for (const number of unknown) {
      const learning = this.#learning.get(number) ?? this.#learnKey(number)
      this.#learning.set(number, learning)
      await learning
    }
  }

  async #learnKey(number: number): Promise<void> {
    try {
      const row = this.#meta.get<DataKeyRow>(dataKeyKey(this.#stream, number))
      if (row === null) throw undecipherable(new Error(`there is no data key ${number}`))
      this.#keys.set(number, await this.#masterKeys.unwrap(row.keyId, row.wrapped))
    } finally {
      this.#learning.delete(number)
    }
  }

  /** After {@link learn}. @throws `data-loss`/`RecordUndecipherable` */
  unseal(shard: number, sealed: Buffer): { readonly key: string; readonly data: Buffer } {
    const key = this.#keys.get(numberOf(sealed))!
    const nonce = sealed.subarray(NONCE_AT, TAG_AT)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
    decipher.setAAD(aadOf(shard))
    decipher.setAuthTag(sealed.subarray(TAG_AT, TEXT_AT))
    const text = decipher.update(sealed.subarray(TEXT_AT))
    try {
      decipher.final()
    } catch (cause) {
      throw undecipherable(cause)
    }
    const dataAt = 2 + text.readUInt16BE(0)
    return { key: text.toString('utf8', 2, dataAt), data: text.subarray(dataAt) }
  }

  /** Rows that go with the stream: without them its records are noise. */
  rowsToDelete(): readonly MetaKey[] {
    const keys: MetaKey[] = []
    for (let number = 0; ; number++) {
      const key = dataKeyKey(this.#stream, number)
      if (this.#meta.get(key) === null) return keys
      keys.push(key)
    }
  }
}

/** Of the data key. */
function numberOf(sealed: Buffer): number {
  return sealed.readUInt32BE(0)
}

function aadOf(shard: number): Buffer {
  return Buffer.from(`shard ${shard}`)
}

function undecipherable(cause: unknown): ServiceError {
  return new ServiceError(
    'data-loss',
    'RecordUndecipherable',
    'A stored record cannot be deciphered.',
    { cause },
  )
}
