import { parseSequenceNumber } from '../../datastream/index.ts'
import { refuseDryRun } from './dry-run.ts'
import { boolean, structure } from '../aws/input-schema.ts'
import { sequenceNumber } from './iterator-start.ts'
import { defineOperation, type KinesisService } from './operation.ts'
import { recordMembers, refuseRecords, toRecordToPut } from './record-input.ts'
import { toEncryptionType } from './stream-description.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

/** PutRecord: the answer means that the record is on disk. */
export const putRecord = defineOperation(
  'PutRecord',
  structure({
    ...streamMembers,
    ...recordMembers,
    SequenceNumberForOrdering: sequenceNumber,
    DryRun: boolean(),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const settings = service.dataStreams.settings(name)
    refuseRecords([input], settings, () => '')
    if (input.SequenceNumberForOrdering !== undefined) {
      refuseFutureNumber(input.SequenceNumberForOrdering, name, service)
    }
    refuseDryRun(input.DryRun)
    const call = { stream: name, operation: 'PutRecord' } as const
    const [result] = await service.calls.measure(call, () =>
      service.dataStreams.put(name, [toRecordToPut(input)]),
    )
    service.calls.put(call, [input], [result!])
    const { shardId, sequenceNumber: number } = result!
    return { ShardId: shardId, SequenceNumber: number, ...toEncryptionType(settings) }
  },
)

/**
 * The new record must get a greater number than this one. Every record does, unless the number was
 * not given out yet.
 */
function refuseFutureNumber(
  text: string,
  name: string,
  { clock, accountId }: KinesisService,
): void {
  const { index, recordedAt } = parseSequenceNumber(text)
  if (Number.isFinite(index) && recordedAt * 1000 <= clock.now()) return
  throw invalid(
    `ExclusiveMinimumSequenceNumber ${text} used in PutRecord on stream ${name} under account ` +
      `${accountId} is invalid.`,
  )
}
