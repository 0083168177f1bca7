import { consumerMembers, findConsumer, toConsumerMembers } from './consumer-address.ts'
import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { toStreamArn } from './stream-address.ts'

/** DescribeStreamConsumer. */
export const describeStreamConsumer = defineOperation(
  'DescribeStreamConsumer',
  structure(consumerMembers),
  async (input, call) => {
    const named = findConsumer(input, call.service)
    return {
      ConsumerDescription: {
        ...toConsumerMembers(named, call),
        StreamARN: toStreamArn(named.stream, call.service),
      },
    }
  },
)
