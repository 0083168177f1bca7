import { epochMs, type EpochMs } from '../../domain/time.ts'
import { CborTime, decodeCbor, encodeCbor, type CborValue } from './cbor.ts'

/**
 * A content type of the protocol: bytes to plain values and back. JSON carries blobs and times in
 * its own way and CBOR in another; operations never know which.
 */
export type Codec = {
  readonly contentType: string
  /** @throws when the bytes are no document of this type */
  readonly parse: (body: Buffer) => unknown
  readonly render: (output: unknown) => Buffer
  /** `null` when the value is not a blob. */
  readonly readBlob: (value: unknown) => Buffer | null
  readonly writeBlob: (bytes: Uint8Array) => unknown
  /** `null` when the value is not a time. */
  readonly readTimestamp: (value: unknown) => EpochMs | null
  readonly writeTimestamp: (time: EpochMs) => unknown
}

/** Blobs are base64, times are epoch seconds with a fraction. */
export const jsonCodec: Codec = {
  contentType: 'application/x-amz-json-1.1',
  parse: (body) => JSON.parse(body.toString('utf8')) as unknown,
  render: (output) => Buffer.from(JSON.stringify(output)),
  readBlob: (value) => (typeof value === 'string' ? decodeBase64(value) : null),
  writeBlob: (bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  readTimestamp: (value) => (typeof value === 'number' ? toEpochMs(value * 1000) : null),
  writeTimestamp: (time) => time / 1000,
}

/** Blobs are byte strings, times are epoch milliseconds under tag 1, integers or floats. */
export const cborCodec: Codec = {
  contentType: 'application/x-amz-cbor-1.1',
  parse: decodeCbor,
  render: (output) => encodeCbor(output as CborValue),
  readBlob: (value) => (Buffer.isBuffer(value) ? value : null),
  writeBlob: (bytes) => bytes,
  readTimestamp: (value) => (value instanceof CborTime ? toEpochMs(value.epochMs) : null),
  writeTimestamp: (time) => new CborTime(time),
}

function toEpochMs(ms: number): EpochMs | null {
  const rounded = Math.round(ms)
  return Number.isSafeInteger(rounded) ? epochMs(rounded) : null
}

/** Node skips what is not base64, so a shorter result than the text promises means that some was. */
function decodeBase64(text: string): Buffer | null {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = Buffer.from(text, 'base64')
  return text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding ? bytes : null
}
