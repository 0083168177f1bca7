import type { FragmentNumber } from '../../domain/fragment.ts'

/**
 * What PutMedia tells its producer while it sends (Kinesis Video Streams API, PutMedia, "Response
 * Elements"): of every fragment BUFFERING, RECEIVED, PERSISTED, in this order; ERROR ends the session.
 */
export type Acknowledgement =
  | {
      readonly type: 'BUFFERING' | 'RECEIVED' | 'PERSISTED'
      readonly fragment: AcknowledgedFragment
    }
  | { readonly type: 'IDLE' }
  | {
      readonly type: 'ERROR'
      readonly code: PutMediaErrorCode
      /** `null` when none is open. */
      readonly fragment: AcknowledgedFragment | null
      /** For our log; not sent. */
      readonly message: string
    }

export type AcknowledgedFragment = {
  /** As the producer sent it, in its own ticks, relative or not. */
  readonly timecode: number
  readonly number: FragmentNumber
}

export const PUT_MEDIA_ERROR_IDS = {
  STREAM_READ_ERROR: 4000,
  MAX_FRAGMENT_SIZE_REACHED: 4001,
  INVALID_MKV_DATA: 4006,
  INVALID_PRODUCER_TIMESTAMP: 4007,
  STREAM_NOT_ACTIVE: 4008,
  FRAGMENT_METADATA_LIMIT_REACHED: 4009,
  TRACK_NUMBER_MISMATCH: 4010,
  MORE_THAN_ALLOWED_TRACKS_FOUND: 4012,
  INTERNAL_ERROR: 5000,
  ARCHIVAL_ERROR: 5001,
} as const

export type PutMediaErrorCode = keyof typeof PUT_MEDIA_ERROR_IDS

/**
 * One line of the response body. Producers read flat objects with these keys only, at most 1024 bytes
 * at a time: lines are sent one by one.
 */
export function toAcknowledgementLine(acknowledgement: Acknowledgement): string {
  return `${JSON.stringify(toWireObject(acknowledgement))}\r\n`
}

function toWireObject(acknowledgement: Acknowledgement): object {
  const { type } = acknowledgement
  if (type === 'IDLE') return { EventType: type }
  const { fragment } = acknowledgement
  const named = fragment && { FragmentTimecode: fragment.timecode, FragmentNumber: fragment.number }
  if (type !== 'ERROR') return { EventType: type, ...named }
  const { code } = acknowledgement
  return { EventType: type, ...named, ErrorId: PUT_MEDIA_ERROR_IDS[code], ErrorCode: code }
}
