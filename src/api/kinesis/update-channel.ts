import { channelArn, channelNotFound } from './channels.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** UpdateChannel: there are no channels. */
export const updateChannel = defineOperation(
  'UpdateChannel',
  structure({ ChannelARN: required(channelArn) }),
  (input) => Promise.reject(channelNotFound(input.ChannelARN)),
)
