import { consumerName, toConsumerMembers } from './consumer-address.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamArn, toStreamName } from './stream-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'

const MAX_CONSUMERS = 20
const MAX_CONSUMERS_COMMITTED = 50

/** RegisterStreamConsumer: the consumer is ACTIVE and on disk when the answer comes. */
export const registerStreamConsumer = defineOperation(
  'RegisterStreamConsumer',
  structure({
    StreamARN: required(streamArn),
    ConsumerName: required(consumerName),
    Tags: tagMap,
  }),
  async (input, call) => {
    const { service } = call
    const stream = toStreamName(input, service)
    const tags = input.Tags ?? {}
    refuseTooManyTags(tags, `consumer ${input.ConsumerName}`)
    const limit = service.dataStreams.account.isCommitted ? MAX_CONSUMERS_COMMITTED : MAX_CONSUMERS
    const consumer = await service.dataStreams
      .consumers(stream)
      .register({ name: input.ConsumerName, tags }, limit)
    return { Consumer: toConsumerMembers({ stream, consumer }, call) }
  },
)
