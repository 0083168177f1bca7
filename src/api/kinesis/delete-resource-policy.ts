import { ServiceError } from '../../domain/errors.ts'
import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { findResource, resourceArn } from './resource-address.ts'

/** DeleteResourcePolicy. */
export const deleteResourcePolicy = defineOperation(
  'DeleteResourcePolicy',
  structure({ ResourceARN: required(resourceArn) }),
  async (input, { service }) => {
    const { policy, name, update } = findResource(input.ResourceARN, service)
    if (policy === null) {
      throw new ServiceError('not-found', 'ResourceNotFoundException', `No policy for ${name}.`)
    }
    await update({ policy: null })
    return null
  },
)
