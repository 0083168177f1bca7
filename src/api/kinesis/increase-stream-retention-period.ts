import { integer, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

const MIN_HOURS = 24
const MAX_HOURS = 8760

export const retentionHours = integer({})

/** The model has no bounds for it: what is out of them is a matter of the operation. */
export function refuseRetention(hours: number): void {
  const requested = `Requested retention period (${hours} hours)`
  if (hours < MIN_HOURS) {
    throw invalid(
      `Minimum allowed retention period is ${MIN_HOURS} hours. ${requested} is too short.`,
    )
  }
  if (hours > MAX_HOURS) {
    throw invalid(
      `Maximum allowed retention period is ${MAX_HOURS} hours. ${requested} is too long.`,
    )
  }
}

/** IncreaseStreamRetentionPeriod: records that had expired stay out of sight. */
export const increaseStreamRetentionPeriod = defineOperation(
  'IncreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(retentionHours) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    refuseRetention(input.RetentionPeriodHours)
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
