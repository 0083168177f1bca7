import type { EpochMs } from '../../domain/time.ts'
import type { IteratorStart } from '../../datastream/index.ts'
import { string } from '../aws/input-schema.ts'
import { invalid } from './stream-address.ts'

export const ITERATOR_TYPES = [
  'AFTER_SEQUENCE_NUMBER',
  'LATEST',
  'AT_TIMESTAMP',
  'AT_SEQUENCE_NUMBER',
  'TRIM_HORIZON',
] as const

export const sequenceNumber = string({ pattern: '0|([1-9]\\d{0,128})' })

/** @throws `invalid-argument`/`InvalidArgumentException` when the type lacks its parameter */
export function toStart(input: {
  readonly Type: (typeof ITERATOR_TYPES)[number]
  readonly SequenceNumber?: string | undefined
  readonly Timestamp?: EpochMs | undefined
}): IteratorStart {
  const { Type: type, SequenceNumber, Timestamp } = input
  switch (type) {
    case 'TRIM_HORIZON':
    case 'LATEST':
      return { type }
    case 'AT_TIMESTAMP':
      if (Timestamp !== undefined) return { type, timestamp: Timestamp }
      throw missing('timestampInMillis', type, 'timestamp')
    case 'AT_SEQUENCE_NUMBER':
    case 'AFTER_SEQUENCE_NUMBER':
      if (SequenceNumber !== undefined) return { type, sequenceNumber: SequenceNumber }
      throw missing('startingSequenceNumber', type, 'startingSequenceNumber')
  }
}

function missing(parameter: string, type: string, absent: string) {
  return invalid(
    `Must specify ${parameter} parameter for iterator of type ${type}. ` +
      `Current request has no ${absent} parameter.`,
  )
}
