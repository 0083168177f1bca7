import { required, string, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { parsePolicy } from '../auth/index.ts'
import { findResource, resourceArn } from './resource-address.ts'
import { invalid } from './stream-address.ts'

const MAX_POLICY_BYTES = 20 * 1024

/** PutResourcePolicy: replaces the policy of a stream or a consumer. */
export const putResourcePolicy = defineOperation(
  'PutResourcePolicy',
  structure({ ResourceARN: required(resourceArn), Policy: required(string({})) }),
  async (input, { service }) => {
    const resource = findResource(input.ResourceARN, service)
    if (Buffer.byteLength(input.Policy) > MAX_POLICY_BYTES) {
      throw invalid(`The policy is longer than ${MAX_POLICY_BYTES} bytes.`)
    }
    const policy = parsePolicy(input.Policy)
    if ('problem' in policy) throw invalid(`The policy is not valid: ${policy.problem}`)
    await resource.update({ policy: input.Policy })
    return null
  },
)
