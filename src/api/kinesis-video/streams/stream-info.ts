import type { StreamInfo } from '../../../registry/index.ts'
import { oneOf, required, string, structure } from '../../aws/input-schema.ts'
import type { KinesisVideoService } from '../operation.ts'
import { toStreamArn } from '../stream-reference.ts'

export const deviceName = string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })

export const mediaType = string({
  min: 1,
  max: 128,
  pattern: '[\\w\\-\\.\\+]+/[\\w\\-\\.\\+]+(,[\\w\\-\\.\\+]+/[\\w\\-\\.\\+]+)*',
})

export const storageConfiguration = structure({
  DefaultStorageTier: required(oneOf(['HOT', 'WARM'])),
})

/** StreamInfo of the API. Nothing takes time here, so a stream is always ACTIVE. */
export function toStreamInfo(service: KinesisVideoService, info: StreamInfo): object {
  const { region, accountId } = service
  return {
    ...(info.deviceName !== null && { DeviceName: info.deviceName }),
    StreamName: info.name,
    StreamARN: toStreamArn(service, info),
    ...(info.mediaType !== null && { MediaType: info.mediaType }),
    KmsKeyId: info.kmsKeyId ?? `arn:aws:kms:${region}:${accountId}:alias/aws/kinesisvideo`,
    Version: info.version,
    Status: 'ACTIVE',
    CreationTime: info.createdAt / 1000,
    DataRetentionInHours: info.retentionHours,
  }
}
