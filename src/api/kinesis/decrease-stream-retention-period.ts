import { refuseRetention, retentionHours } from './increase-stream-retention-period.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

/** DecreaseStreamRetentionPeriod: older records are out of sight at once. */
export const decreaseStreamRetentionPeriod = defineOperation(
  'DecreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(retentionHours) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    refuseRetention(input.RetentionPeriodHours)
    const current = service.dataStreams.describe(name).retentionHours
    if (input.RetentionPeriodHours >= current) {
      throw invalid(
        `Requested retention period (${input.RetentionPeriodHours} hours) for stream ${name} can ` +
          `not be longer than or equal to existing retention period (${current} hours). ` +
          'Use IncreaseRetentionPeriod API.',
      )
    }
    await service.dataStreams.update(name, { retentionHours: input.RetentionPeriodHours })
    return null
  },
)
