import { required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { findResource, resourceArn } from './resource-address.ts'

/** GetResourcePolicy: as it was put; a resource without one answers an empty policy. */
export const getResourcePolicy = defineOperation(
  'GetResourcePolicy',
  structure({ ResourceARN: required(resourceArn) }),
  async (input, { service }) => ({
    Policy: findResource(input.ResourceARN, service).policy ?? '{}',
  }),
)
