import { ServiceError } from '../../../domain/errors.ts'
import { integer, required, string, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { resourceName, streamResource, toStreamArn } from '../stream-reference.ts'
import { tagMap } from '../tags/tags.ts'
import { deviceName, mediaType, storageConfiguration } from './stream-info.ts'

/** Makes a stream, on disk and ACTIVE when this answers. */
export const createStream = defineOperation({
  name: 'CreateStream',
  differs:
    'The stream is ACTIVE at once. KmsKeyId is kept and answered; it encrypts nothing. Of the storage ' +
    'tiers the same holds: all media is in one place.',
  input: structure({
    DeviceName: deviceName,
    StreamName: required(resourceName),
    MediaType: mediaType,
    KmsKeyId: string({ min: 1, max: 2048, pattern: '.+' }),
    DataRetentionInHours: integer({ min: 0, max: 87_600 }),
    Tags: tagMap,
    StreamStorageConfiguration: storageConfiguration,
  }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const { registry, control } = service
    const { maxStreams } = control.limits
    if (registry.list().length >= maxStreams) {
      throw new ServiceError(
        'limit-exceeded',
        'AccountStreamLimitExceededException',
        `There are ${maxStreams} streams already: the most that the configuration allows.`,
      )
    }
    const { info } = await registry.create({
      name: input.StreamName,
      retentionHours: input.DataRetentionInHours ?? 0,
      deviceName: input.DeviceName ?? null,
      mediaType: input.MediaType ?? null,
      kmsKeyId: input.KmsKeyId ?? null,
      storageTier: input.StreamStorageConfiguration?.DefaultStorageTier ?? 'HOT',
      tags: input.Tags ?? {},
    })
    return { StreamARN: toStreamArn(service, info) }
  },
})
