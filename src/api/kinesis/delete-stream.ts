import { ServiceError } from '../../domain/errors.ts'
import { boolean, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamMembers, toStreamName } from './stream-address.ts'

/** DeleteStream: the answer comes when the stream, its consumers and its files are gone. */
export const deleteStream = defineOperation(
  'DeleteStream',
  structure({ ...streamMembers, EnforceConsumerDeletion: boolean() }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const consumers = service.dataStreams.consumers(name).list()
    if (consumers.length > 0 && input.EnforceConsumerDeletion !== true) {
      throw new ServiceError(
        'conflict',
        'ResourceInUseException',
        `Stream ${name} has ${consumers.length} registered consumers. Deregister them or set ` +
          'EnforceConsumerDeletion.',
        { context: { stream: name } },
      )
    }
    await service.dataStreams.delete(name)
    return null
  },
)
