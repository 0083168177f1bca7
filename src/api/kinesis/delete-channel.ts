import { channelArn, channelNotFound } from './channels.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** DeleteChannel: there are no channels. */
export const deleteChannel = defineOperation(
  'DeleteChannel',
  structure({ ChannelARN: required(channelArn) }),
  (input) => Promise.reject(channelNotFound(input.ChannelARN)),
)
