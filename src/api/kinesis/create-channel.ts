import { channelsNotOffered } from './channels.ts'
import { required, string, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** CreateChannel: not offered, and says so. */
export const createChannel = defineOperation(
  'CreateChannel',
  structure({
    ChannelName: required(string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })),
    ServiceExecutionRoleARN: required(string({ min: 1, max: 2048 })),
  }),
  () => Promise.reject(channelsNotOffered()),
)
