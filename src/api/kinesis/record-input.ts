import type { DataStreamSettings, RecordToPut } from '../../datastream/index.ts'
import {
  blob,
  constraintFailure,
  describeBlob,
  required,
  string,
  validationError,
} from '../aws/input-schema.ts'

/** The largest MaxRecordSizeInKiB that a stream can have, in bytes. */
const MAX_DATA_BYTES = 10_240 * 1024

export const recordMembers = {
  Data: required(blob({ max: MAX_DATA_BYTES })),
  PartitionKey: string({ min: 1, max: 256 }),
  ExplicitHashKey: string({ pattern: '0|([1-9]\\d{0,38})' }),
}

export type RecordInput = {
  readonly Data: Buffer
  /** A stream whose distribution is AUTO takes records without. */
  readonly PartitionKey?: string | undefined
  readonly ExplicitHashKey?: string | undefined
}

export function toRecordToPut(input: RecordInput): RecordToPut {
  const record = { data: input.Data, partitionKey: input.PartitionKey ?? '' }
  return input.ExplicitHashKey === undefined
    ? record
    : { ...record, explicitHashKey: input.ExplicitHashKey }
}

/**
 * What depends on the stream's settings.
 *
 * @param at how a record's members are named in the message
 * @throws `invalid-argument`/`ValidationException` naming each record that is too large or lacks a key
 */
export function refuseRecords(
  records: readonly RecordInput[],
  settings: DataStreamSettings,
  at: (position: number) => string,
): void {
  const most = settings.maxRecordKiB * 1024
  const keyless = settings.distribution === 'AUTO'
  const failures: string[] = []
  records.forEach(({ Data, PartitionKey }, i) => {
    if (Data.length > most) {
      failures.push(constraintFailure(describeBlob(Data), `${at(i)}data`, tooLong(most)))
    }
    if (PartitionKey === undefined && !keyless) {
      failures.push(constraintFailure(null, `${at(i)}partitionKey`, 'not be null'))
    }
  })
  if (failures.length > 0) throw validationError(failures)
}

function tooLong(most: number): string {
  return `have length less than or equal to ${most}`
}
