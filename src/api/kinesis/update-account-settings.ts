import { toSettings } from './describe-account-settings.ts'
import { oneOf, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** UpdateAccountSettings: the commitment that unlocks warm throughput and 50 consumers per stream. */
export const updateAccountSettings = defineOperation(
  'UpdateAccountSettings',
  structure({
    MinimumThroughputBillingCommitment: required(
      structure({ Status: required(oneOf(['ENABLED', 'DISABLED'])) }),
    ),
  }),
  async (input, { service, codec }) => {
    const { Status } = input.MinimumThroughputBillingCommitment
    return toSettings(await service.dataStreams.account.commit(Status), codec)
  },
)
