import { randomBytes } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'
import { openSealed, SEAL_BYTES, sealBytes } from '../platform/aes-gcm.ts'

/** A master key of a producer or consumer: 32 bytes, and the name that it goes by in envelopes. */
export type EnvelopeKey = {
  /** 1 to 255 bytes of UTF-8; readable by anybody who has the record. */
  readonly keyId: string
  readonly key: Uint8Array
}

const MAGIC = Buffer.from('KENV')
const VERSION = 1
const DATA_KEY_BYTES = 32
const KEY_ID_AT = MAGIC.length + 2

/**
 * Encrypts a record's data before it leaves its producer: the service and whoever reads its disk see
 * noise. Each record has a data key of its own, wrapped by the master key; both steps are AES-256-GCM.
 * The partition key stays readable, since it decides the shard.
 *
 * ```
 * 0       4  'KENV'
 * 4       1  version, 1
 * 5       1  n, length of the key id
 * 6       n  key id, UTF-8
 * 6+n    12  nonce,  16 authentication tag,  32 data key under the master key
 * 66+n   12  nonce,  16 authentication tag,  the data under the data key
 * ```
 *
 * Bytes 0 to 6+n are authenticated in both steps. It makes a record 94 bytes longer, and the key id.
 */
export function encryptRecordData(data: Uint8Array, { keyId, key }: EnvelopeKey): Buffer {
  const name = Buffer.from(keyId)
  if (name.length === 0 || name.length > 255) {
    throw new RangeError('a key id has 1 to 255 bytes')
  }
  const head = Buffer.concat([MAGIC, Buffer.from([VERSION, name.length]), name])
  const dataKey = randomBytes(DATA_KEY_BYTES)
  return Buffer.concat([head, sealBytes(key, dataKey, head), sealBytes(dataKey, data, head)])
}

/**
 * The data that {@link encryptRecordData} was given.
 *
 * @param keyOf the master key of this name, `null` for an unknown one
 * @throws `not-found`/`KMSNotFoundException` for an unknown key; `data-loss`/`RecordUndecipherable`
 *   for anything that was not encrypted with the key of that name, and for what was changed since
 */
export function decryptRecordData(
  envelope: Uint8Array,
  keyOf: (keyId: string) => Uint8Array | null,
): Buffer {
  const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength)
  if (!isEncryptedRecordData(bytes)) throw undecipherable(new Error('it is no envelope'))
  const headBytes = KEY_ID_AT + bytes[KEY_ID_AT - 1]!
  const head = bytes.subarray(0, headBytes)
  const keyId = bytes.toString('utf8', KEY_ID_AT, headBytes)
  const key = keyOf(keyId)
  if (key === null) {
    throw new ServiceError('not-found', 'KMSNotFoundException', `Key ${keyId} does not exist.`)
  }
  const dataAt = headBytes + SEAL_BYTES + DATA_KEY_BYTES
  try {
    const dataKey = openSealed(key, bytes.subarray(headBytes, dataAt), head)
    return openSealed(dataKey, bytes.subarray(dataAt), head)
  } catch (cause) {
    throw undecipherable(cause)
  }
}

/** Whether it looks like an envelope of a version that is known here; nothing is authenticated yet. */
export function isEncryptedRecordData(data: Uint8Array): boolean {
  return (
    data.byteLength >= KEY_ID_AT &&
    MAGIC.every((byte, i) => data[i] === byte) &&
    data[MAGIC.length] === VERSION
  )
}

function undecipherable(cause: unknown): ServiceError {
  return new ServiceError(
    'data-loss',
    'RecordUndecipherable',
    'The record cannot be deciphered with this key.',
    { cause },
  )
}
