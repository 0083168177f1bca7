import type { DataStreamSettings, RecordToPut } from '../../datastream/index.ts'
import {
  blob,
  constraintFailure,
  describeBlob,
  required,
  string,
  validationError,
} from './input-schema.ts'

/** The largest MaxRecordSizeInKiB that a stream can have, in bytes. */
const MAX_DATA_BYTES = 10_240 * 1024

export const recordMembers = {
  Data: required(blob({ max: MAX_DATA_BYTES })),
  PartitionKey: required(string({ min: 1, max: 256 })),
  ExplicitHashKey: string({ pattern: '0|([1-9]\\d{0,38})' }),
}

export type RecordInput = {
  readonly Data: Buffer
  readonly PartitionKey: string
  readonly ExplicitHashKey?: string | undefined
}

export function toRecordToPut(input: RecordInput): RecordToPut {
  const record = { data: input.Data, partitionKey: input.PartitionKey }
  return input.ExplicitHashKey === undefined
    ? record
    : { ...record, explicitHashKey: input.ExplicitHashKey }
}

/**
 * @param at how a record is named in the message
 * @throws `invalid-argument`/`ValidationException` naming each record over the stream's limit
 */
export function refuseLargeData(
  records: readonly RecordInput[],
  settings: DataStreamSettings,
  at: (position: number) => string,
): void {
  const most = settings.maxRecordBytes
  const failures = records.flatMap(({ Data }, i) =>
    Data.length <= most
      ? []
      : [constraintFailure(describeBlob(Data), at(i), `have length less than or equal to ${most}`)],
  )
  if (failures.length > 0) throw validationError(failures)
}
