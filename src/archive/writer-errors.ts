import { ServiceError } from '../domain/errors.ts'
import { parseWholeHeader, toOpenHeader } from '../media/matroska/header.ts'
import type { FragmentStart } from './archive.ts'
import { MAX_TIMESTAMP_MS } from './catalogue-keys.ts'

/**
 * Refuses a fragment that could not be indexed, and a header with which no chunk could be read
 * again or grow.
 */
export function checkTimestamps({ producerTimestamp, serverTimestamp }: FragmentStart): void {
  const indexable = Math.abs(producerTimestamp) <= MAX_TIMESTAMP_MS
  if (indexable && serverTimestamp >= 0 && serverTimestamp <= MAX_SERVER_TIMESTAMP_MS) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidTimestamp',
    `Timestamps ${producerTimestamp} and ${serverTimestamp} cannot be indexed.`,
  )
}

/** The last that a calendar day in a chunk's path can be told for. */
const MAX_SERVER_TIMESTAMP_MS = 253_402_300_799_999 // 9999-12-31

export function checkHeader(header: Uint8Array): void {
  parseWholeHeader(header)
  if (toOpenHeader(header) === header) return
  throw new ServiceError(
    'invalid-argument',
    'SegmentSizeKnown',
    'A header needs a Segment of unknown size, because fragments follow it for ever.',
  )
}

export function queueFull(queuedBytes: number): ServiceError {
  return new ServiceError(
    'unavailable',
    'ArchiveQueueFull',
    'The disk is slower than the producer; the fragment was given up.',
    { context: { queuedBytes } },
  )
}

export function fragmentTooLong(): ServiceError {
  return new ServiceError('limit-exceeded', 'FragmentTooLong', 'A fragment cannot exceed 4 GiB.')
}

export function abandoned(reason: string): ServiceError {
  return new ServiceError('unavailable', 'FragmentAbandoned', `It was given up: ${reason}.`)
}

export function writeFailed(cause: unknown): ServiceError {
  return new ServiceError(
    'unavailable',
    'ArchiveWriteFailed',
    'The fragment could not be written to the archive.',
    { cause },
  )
}
