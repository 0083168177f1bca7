import { createHash } from 'node:crypto'
import type { Fragment } from '../domain/fragment.ts'
import { IMAGE_PREFIX_TAG, type FragmentTags } from './fragment-tags.ts'

/** An image as it is delivered. */
export type ImageObject = {
  /** `<prefix_><account>_<stream>_<epoch ms>_<uuid>.jpg`, or `.png`. */
  readonly name: string
  readonly contentType: 'image/jpeg' | 'image/png'
  /** Printable ASCII, names and values; at most 2 KB together (S3 API: PutObject, "User metadata"). */
  readonly metadata: ReadonlyMap<string, string>
}

const MAX_METADATA_BYTES = 2_000
/** Of a name's part that a producer sets. */
const MAX_PREFIX_LENGTH = 256

/**
 * Name and metadata as the service gives them (developer guide, "Image generation: S3 object key and
 * metadata"). The uuid is the same when an image is delivered again, so that it replaces itself.
 */
export function toImageObject(options: {
  readonly accountId: string
  readonly streamName: string
  readonly fragment: Pick<Fragment, 'fragmentNumber' | 'producerTimestamp' | 'serverTimestamp'>
  readonly tags: FragmentTags
  readonly format: 'JPEG' | 'PNG'
  /** The instant it was wanted for and that of its frame, by the clock that images are apart by. */
  readonly atMs: number
  readonly frameMs: number
}): ImageObject {
  const { accountId, streamName, fragment, tags, format, atMs, frameMs } = options
  const { fragmentNumber, producerTimestamp, serverTimestamp } = fragment
  const prefix = toNamePart(tags.asks.get(IMAGE_PREFIX_TAG) ?? '')
  const uuid = stableUuid(`${streamName}\n${fragmentNumber}\n${atMs}`)
  const parts = [...(prefix === '' ? [] : [prefix]), accountId, streamName, frameMs, uuid]
  const metadata = new Map<string, string>([
    ['aws_kinesisvideo_fragment_number', fragmentNumber],
    ['aws_kinesisvideo_producer_timestamp', String(producerTimestamp)],
    ['aws_kinesisvideo_server_timestamp', String(serverTimestamp)],
  ])
  let bytes = [...metadata].flat().join('').length
  for (const [name, value] of tags.own) {
    const [key, text] = [encodeURIComponent(name).toLowerCase(), encodeURIComponent(value)]
    bytes += key.length + text.length
    if (bytes > MAX_METADATA_BYTES) break
    metadata.set(key, text)
  }
  return {
    name: `${parts.join('_')}.${format === 'PNG' ? 'png' : 'jpg'}`,
    contentType: format === 'PNG' ? 'image/png' : 'image/jpeg',
    metadata,
  }
}

/** A producer's prefix may make folders, and leads nowhere else. */
function toNamePart(text: string): string {
  const parts = text.slice(0, MAX_PREFIX_LENGTH).split('/')
  return parts.filter((part) => part !== '' && part !== '.' && part !== '..').join('/')
}

/** The same for the same text: 128 bits of its hash as RFC 9562 §5.8 lays them out. */
export function stableUuid(text: string): string {
  const hash = createHash('sha256').update(text).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x80
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return [
    ...[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16)],
    ...[hex.slice(16, 20), hex.slice(20, 32)],
  ].join('-')
}
