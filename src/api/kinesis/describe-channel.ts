import { channelArn, channelNotFound } from './channels.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** DescribeChannel: there are no channels. */
export const describeChannel = defineOperation(
  'DescribeChannel',
  structure({ ChannelARN: required(channelArn) }),
  (input) => Promise.reject(channelNotFound(input.ChannelARN)),
)
