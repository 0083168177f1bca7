import { consumerName, toConsumerMembers } from './consumer-address.ts'
import { required, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamArn, toStreamName } from './stream-address.ts'
import { refuseTooManyTags, tagMap } from './tags.ts'

const MAX_CONSUMERS = 20

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
    const consumer = await service.dataStreams
      .consumers(stream)
      .register({ name: input.ConsumerName, tags }, MAX_CONSUMERS)
    return { Consumer: toConsumerMembers({ stream, consumer }, call) }
  },
)
