import { integer, required, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

export const retentionHours = integer({ min: 24, max: 8760 })

/** IncreaseStreamRetentionPeriod: records that had expired stay out of sight once removed. */
export const increaseStreamRetentionPeriod = defineOperation(
  'IncreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(retentionHours) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const current = service.dataStreams.describe(name).retentionHours
    if (input.RetentionPeriodHours <= current) {
      throw invalid(
        `Requested retention period (${input.RetentionPeriodHours} hours) for stream ${name} can ` +
          `not be shorter than or equal to existing retention period (${current} hours). ` +
          'Use DecreaseRetentionPeriod API.',
      )
    }
    await service.dataStreams.update(name, { retentionHours: input.RetentionPeriodHours })
    return null
  },
)
