import type { FragmentNumber } from '../../../domain/fragment.ts'
import { readElementHead, toUnknownSize } from '../../../media/matroska/vint.ts'
import {
  concat,
  FRAGMENT_NUMBER_TAG,
  tagsElement,
  toMatroskaHeader,
} from '../../../media/matroska/writer.ts'

/**
 * What GetMedia delivers of one fragment, a document of its own, as captured from the service:
 *
 * ```
 * EBML | Segment, size 01FFFFFFFFFFFFFF | SeekHead, Info, Tracks, ...    the producer's header
 * Tags: fragment number, server timestamp, producer timestamp
 * Cluster | the producer's Tags
 * Tags: milliseconds behind now, continuation token                      both: it is whole
 * ```
 *
 * The header with the Segment's size as the service writes it; everything else byte for byte.
 */
export function toDocumentHeader(header: Uint8Array): Uint8Array {
  const ebml = readElementHead(header, 0)!
  const segment = readElementHead(header, ebml.dataOffset + ebml.size)!
  return concat([
    header.subarray(0, segment.sizeOffset),
    toUnknownSize(8),
    header.subarray(segment.dataOffset),
  ])
}

/** Behind the last byte of a fragment: readers take it for whole when both are there. */
export function trailingTags(tags: {
  readonly fragmentNumber: FragmentNumber
  /** Since the fragment's last byte arrived. */
  readonly millisBehindNow: number
}): Uint8Array {
  return tagsElement([
    ['AWS_KINESISVIDEO_MILLIS_BEHIND_NOW', String(Math.max(0, Math.round(tags.millisBehindNow)))],
    ['AWS_KINESISVIDEO_CONTINUATION_TOKEN', tags.fragmentNumber],
  ])
}

/** KVS API: GetMedia, "Error Code", with our words where the service's are not known. */
export const MEDIA_ERRORS = {
  FRAGMENT_NOT_FOUND: 4000,
  INTERNAL_ERROR: 5000,
} as const

export type MediaErrorCode = keyof typeof MEDIA_ERRORS

/**
 * What ends an answer that cannot go on: a fragment's Tags with an error and without a server
 * timestamp, by which the parser library knows it. In a document of its own, because the last one may
 * have broken off within a Cluster of known size.
 */
export function errorDocument(fragmentNumber: string | null, code: MediaErrorCode): Uint8Array {
  return concat([
    toDocumentHeader(toMatroskaHeader([])),
    tagsElement([
      ...(fragmentNumber === null ? [] : [[FRAGMENT_NUMBER_TAG, fragmentNumber] as const]),
      ['AWS_KINESISVIDEO_ERROR_ID', String(MEDIA_ERRORS[code])],
      ['AWS_KINESISVIDEO_ERROR_CODE', code],
    ]),
  ])
}
