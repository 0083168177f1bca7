import type { Commitment } from '../../datastream/index.ts'
import type { Codec } from '../aws/codec.ts'
import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** DescribeAccountSettings. */
export const describeAccountSettings = defineOperation(
  'DescribeAccountSettings',
  structure({}),
  async (_input, { service, codec }) => toSettings(service.dataStreams.account.commitment(), codec),
)

export function toSettings(commitment: Commitment, { writeTimestamp }: Codec) {
  const { status, startedAt, endedAt, earliestAllowedEndAt } = commitment
  return {
    MinimumThroughputBillingCommitment: {
      Status: status,
      ...(startedAt !== null && { StartedAt: writeTimestamp(startedAt) }),
      ...(endedAt !== null && { EndedAt: writeTimestamp(endedAt) }),
      ...(earliestAllowedEndAt !== null && {
        EarliestAllowedEndAt: writeTimestamp(earliestAllowedEndAt),
      }),
    },
  }
}
