import { oneOf, required, string, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { invalid, streamMembers, toStreamName } from './stream-address.ts'

export const encryptionInput = structure({
  ...streamMembers,
  EncryptionType: required(oneOf(['NONE', 'KMS'])),
  KeyId: required(string({ min: 1, max: 2048 })),
})

/** StartStreamEncryption: what is put from now on is encrypted; what is there stays as it is. */
export const startStreamEncryption = defineOperation(
  'StartStreamEncryption',
  encryptionInput,
  async (input, { service }) => {
    refuseNone(input.EncryptionType)
    const name = toStreamName(input, service)
    await service.dataStreams.update(name, { encryption: { keyId: input.KeyId } })
    return null
  },
)

export function refuseNone(type: 'NONE' | 'KMS'): void {
  if (type === 'NONE') throw invalid('EncryptionType must be KMS.')
}
