import { consumerMembers, findConsumer } from './consumer-address.ts'
import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** DeregisterStreamConsumer: its subscriptions end; the answer comes when it is gone. */
export const deregisterStreamConsumer = defineOperation(
  'DeregisterStreamConsumer',
  structure(consumerMembers),
  async (input, { service }) => {
    const { stream, consumer } = findConsumer(input, service)
    await service.dataStreams.consumers(stream).deregister(consumer.name)
    return null
  },
)
