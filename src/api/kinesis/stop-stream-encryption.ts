import { defineOperation } from './operation.ts'
import { encryptionInput, refuseNone } from './start-stream-encryption.ts'
import { toStreamName } from './stream-address.ts'

/** StopStreamEncryption: what is encrypted stays so, and is read as before. */
export const stopStreamEncryption = defineOperation(
  'StopStreamEncryption',
  encryptionInput,
  async (input, { service }) => {
    refuseNone(input.EncryptionType)
    await service.dataStreams.update(toStreamName(input, service), { encryption: null })
    return null
  },
)
