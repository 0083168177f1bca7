import { integer, required, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { streamArn, toStreamName } from './stream-address.ts'

export const maxRecordSize = integer({ min: 1024, max: 10_240 })

/** UpdateMaxRecordSize: holds for what is put from now on. */
export const updateMaxRecordSize = defineOperation(
  'UpdateMaxRecordSize',
  structure({ StreamARN: streamArn, MaxRecordSizeInKiB: required(maxRecordSize) }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    await service.dataStreams.update(name, { maxRecordKiB: input.MaxRecordSizeInKiB })
    return null
  },
)
