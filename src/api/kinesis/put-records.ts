import { ServiceError } from '../../domain/errors.ts'
import type { PutOutcome } from '../../datastream/index.ts'
import { outcomeOfError } from './call-metrics.ts'
import { refuseDryRun } from './dry-run.ts'
import { toWireError } from './errors.ts'
import { boolean, list, required, structure } from '../aws/input-schema.ts'
import { defineOperation, type Operation } from './operation.ts'
import { recordMembers, refuseRecords, toRecordToPut, type RecordInput } from './record-input.ts'
import { scanPutRecords } from './scan-put-records.ts'
import { toEncryptionType } from './stream-description.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

const MAX_RECORDS = 500
/** Data and keys of one request. */
const MAX_REQUEST_BYTES = 10 * 1024 * 1024

/** PutRecords: each entry says for itself whether its record is on disk. */
export const putRecords: Operation = {
  ...defineOperation(
    'PutRecords',
    structure({
      ...streamMembers,
      Records: required(list(structure(recordMembers), { min: 1, max: MAX_RECORDS })),
      DryRun: boolean(),
    }),
    async (input, { service }) => {
      const name = toStreamName(input, service)
      const settings = service.dataStreams.settings(name)
      refuseRecords(input.Records, settings, (i) => `records.${i + 1}.member.`)
      refuseLargeRequest(input.Records)
      refuseDryRun(input.DryRun)
      const call = { stream: name, operation: 'PutRecords' } as const
      const outcomes = await service.calls.measure(
        call,
        () => service.dataStreams.putEach(name, input.Records.map(toRecordToPut)),
        outcomeOfEach,
      )
      service.calls.put(call, input.Records, outcomes)
      const failed = outcomes.find((outcome) => 'error' in outcome && !isThrottled(outcome.error))
      if (failed !== undefined && outcomes.every((outcome) => 'error' in outcome)) {
        throw (failed as { readonly error: unknown }).error
      }
      return {
        FailedRecordCount: outcomes.filter((outcome) => 'error' in outcome).length,
        Records: outcomes.map((outcome) => toEntry(outcome, service.accountId)),
        ...toEncryptionType(settings),
      }
    },
  ),
  scan: scanPutRecords,
}

function refuseLargeRequest(records: readonly RecordInput[]): void {
  let bytes = 0
  for (const { Data, PartitionKey = '' } of records) {
    bytes += Data.length + Buffer.byteLength(PartitionKey)
  }
  if (bytes > MAX_REQUEST_BYTES) throw invalid('Records size exceeds 10 MB limit')
}

/** Of the call: well, when a record is stored (developer guide: "PutRecords.Success"). */
function outcomeOfEach(outcomes: readonly PutOutcome[]) {
  const [first] = outcomes
  const isStored = outcomes.some((outcome) => !('error' in outcome))
  return isStored || first === undefined || !('error' in first)
    ? 'success'
    : outcomeOfError(first.error)
}

function isThrottled(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'ProvisionedThroughputExceededException'
}

/** An entry's error is one of two: over the limits, or not stored. */
function toEntry(outcome: PutOutcome, accountId: string) {
  if (!('error' in outcome)) {
    return { SequenceNumber: outcome.sequenceNumber, ShardId: outcome.shardId }
  }
  const { type, message } = toWireError(outcome.error, accountId)
  return isThrottled(outcome.error)
    ? { ErrorCode: type, ErrorMessage: message }
    : { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal Service Failure' }
}
