import { integer, oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { invalid, streamReference, streamResource } from '../stream-reference.ts'
import { changeStream, version } from './change-stream.ts'

/** Keeps media longer or shorter, by so many hours; what is older than that is hidden at once. */
export const updateDataRetention = defineOperation({
  name: 'UpdateDataRetention',
  differs: 'In force when it answers: a stream is never UPDATING.',
  input: structure({
    ...streamReference,
    CurrentVersion: required(version),
    Operation: required(oneOf(['INCREASE_DATA_RETENTION', 'DECREASE_DATA_RETENTION'])),
    DataRetentionChangeInHours: required(integer({ min: 1 })),
  }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const sign = input.Operation === 'INCREASE_DATA_RETENTION' ? 1 : -1
    await changeStream(service, input, ({ retentionHours }) => {
      const wanted = retentionHours + sign * input.DataRetentionChangeInHours
      if (wanted >= 0 && wanted <= MAX_HOURS) return { retentionHours: wanted }
      throw invalid(
        `DataRetentionChangeInHours makes a data retention of ${wanted} hours of ${retentionHours}; ` +
          `it is 0 to ${MAX_HOURS}.`,
      )
    })
    return {}
  },
})

/** Ten years. */
const MAX_HOURS = 87_600
