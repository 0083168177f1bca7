import { boolean, structure } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'

/** DeleteStream: the answer comes when the stream and its files are gone. */
export const deleteStream = defineOperation(
  'DeleteStream',
  structure({ ...streamMembers, EnforceConsumerDeletion: boolean() }),
  async (input, { service }) => {
    await service.dataStreams.delete(toStreamName(input, service))
    return null
  },
)
