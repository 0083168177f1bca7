import type { EdgeConfiguration, StreamInfo } from '../../../registry/index.ts'
import type { SourceStatus } from '../../../ingest/index.ts'
import { boolean, integer, oneOf, required, string, structure } from '../../aws/input-schema.ts'
import type { KinesisVideoService } from '../operation.ts'
import { toStreamArn } from '../stream-reference.ts'

const schedule = structure({
  ScheduleExpression: required(string({ min: 11, max: 100, pattern: '[^\\n]{11,100}' })),
  DurationInSeconds: required(integer({ min: 60, max: 3600 })),
})

/** EdgeConfig of StartEdgeConfigurationUpdate. */
export const edgeConfig = structure({
  HubDeviceArn: required(
    string({
      min: 1,
      max: 1024,
      pattern: 'arn:[a-z\\d-]+:iot:[a-z0-9-]+:[0-9]+:thing/[a-zA-Z0-9_.-]+',
    }),
  ),
  RecorderConfig: required(
    structure({
      MediaSourceConfig: required(
        structure({
          MediaUriSecretArn: required(
            string({
              min: 20,
              max: 2048,
              pattern: 'arn:[a-z\\d-]+:secretsmanager:[a-z0-9-]+:[0-9]+:secret:[a-zA-Z0-9_.-]+',
            }),
          ),
          MediaUriType: required(oneOf(['RTSP_URI', 'FILE_URI'])),
        }),
      ),
      ScheduleConfig: schedule,
    }),
  ),
  UploaderConfig: structure({ ScheduleConfig: required(schedule) }),
  DeletionConfig: structure({
    EdgeRetentionInHours: integer({ min: 1, max: 720 }),
    LocalSizeConfig: structure({
      MaxLocalMediaSizeInMB: integer({ min: 64, max: 2_000_000 }),
      StrategyOnFullSize: oneOf(['DELETE_OLDEST_MEDIA', 'DENY_NEW_MEDIA']),
    }),
    DeleteAfterUpload: boolean(),
  }),
})

/** What the edge operations answer with. */
export function toEdgeRecord(
  service: KinesisVideoService,
  info: StreamInfo,
  { createdAt, updatedAt, terms, failure }: EdgeConfiguration,
): object {
  return {
    StreamName: info.name,
    StreamARN: toStreamArn(service, info),
    CreationTime: createdAt / 1000,
    LastUpdatedTime: updatedAt / 1000,
    SyncStatus: failure === null ? 'IN_SYNC' : 'SYNC_FAILED',
    ...(failure === null ? {} : { FailedStatusDetails: failure }),
    EdgeConfig: terms,
  }
}

/** How the source is doing, in the terms of an edge agent. It records; there is nothing to upload. */
export function toEdgeAgentStatus(status: SourceStatus | null): object {
  if (status === null) return {}
  const { state, since, lastFailure } = status
  const isUp = state === 'publishing'
  const failure = isUp ? null : lastFailure
  return {
    LastRecorderStatus: {
      JobStatusDetails: failure === null ? state : failure.message,
      LastCollectedTime: since / 1000,
      LastUpdatedTime: (failure?.at ?? since) / 1000,
      RecorderStatus:
        failure === null
          ? 'SUCCESS'
          : USER_ERRORS.has(failure.reason)
            ? 'USER_ERROR'
            : 'SYSTEM_ERROR',
    },
  }
}

/** What the person who set the camera up can mend. */
const USER_ERRORS = new Set(['unauthorised', 'not-found', 'unreachable', 'tls', 'no-media'])
