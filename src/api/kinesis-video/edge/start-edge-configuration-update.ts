import { ServiceError } from '../../../domain/errors.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import { required, structure, type InputOf } from '../../aws/input-schema.ts'
import { edgeConfig, toEdgeRecord } from './edge-configuration.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { requireRetention } from '../archived/require-retention.ts'
import { findStream, invalid, streamReference, streamResource } from '../stream-reference.ts'

/**
 * Attaches a camera to a stream, or changes which: the secret's URL becomes the stream's source, and
 * this service the edge agent that records it.
 */
export const startEdgeConfigurationUpdate = defineOperation({
  name: 'StartEdgeConfigurationUpdate',
  errors: 'access-denied',
  differs:
    'This service is the edge agent: it pulls from the camera at once and records all the time. ' +
    'FILE_URI and a recorder schedule are refused; uploader and deletion settings are kept without effect.',
  input: structure({ ...streamReference, EdgeConfig: required(edgeConfig) }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const info = findStream(service, input)
    const terms = input.EdgeConfig
    const former = service.edgeConfigurations.find(info.streamId)
    refuse(service, info, { terms, former: former?.terms as EdgeConfigInput | undefined })
    const failure = await attach(service, info, terms.RecorderConfig.MediaSourceConfig)
    const now = service.clock.now()
    const configuration = {
      streamId: info.streamId,
      createdAt: former?.createdAt ?? now,
      updatedAt: now,
      terms,
      failure,
    }
    await service.edgeConfigurations.put(configuration)
    return toEdgeRecord(service, info, configuration)
  },
})

type EdgeConfigInput = InputOf<typeof edgeConfig>

function refuse(
  { sources }: KinesisVideoService,
  info: StreamInfo,
  { terms, former }: { terms: EdgeConfigInput; former: EdgeConfigInput | undefined },
): void {
  const { MediaSourceConfig, ScheduleConfig } = terms.RecorderConfig
  if (MediaSourceConfig.MediaUriType !== 'RTSP_URI') {
    throw invalid('MediaUriType FILE_URI is not supported: name a camera with RTSP_URI.')
  }
  if (ScheduleConfig !== undefined) {
    throw invalid('RecorderConfig.ScheduleConfig is not supported: recording goes on all the time.')
  }
  requireRetention(info)
  if (former !== undefined && former.HubDeviceArn !== terms.HubDeviceArn) {
    throw inUse('The edge configuration is of another HubDeviceArn: delete it first.')
  }
  if (former === undefined && sources.find(info.name) !== null) {
    throw inUse('The stream has a source that was not set by an edge configuration.')
  }
}

/** @returns why it could not be attached, for people and without the secret; `null` when it was */
async function attach(
  { sources, pulls, secretOf }: KinesisVideoService,
  { name }: StreamInfo,
  { MediaUriSecretArn }: { MediaUriSecretArn: string },
): Promise<string | null> {
  const secret = await secretOf(MediaUriSecretArn)
  try {
    if (secret === null) return detached(`There is no secret of the name of ${MediaUriSecretArn}.`)
    const url = readMediaUri(secret)
    if (!/^rtsps?:\/\//i.test(url)) return detached('The secret holds no rtsp or rtsps URL.')
    // Not an update: that keeps a password which the new URL no longer has.
    if (sources.find(name) !== null) await sources.delete(name)
    await sources.create({ stream: name, url })
    return null
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return error.message // names the field; sources keep URLs out of their messages
  } finally {
    await pulls.settled(name)
  }

  async function detached(why: string): Promise<string> {
    if (sources.find(name) !== null) await sources.delete(name)
    return why
  }
}

/** A plain URL, or the object that the service's guide has people put into the secret. */
function readMediaUri(secret: string): string {
  const text = secret.trim()
  if (!text.startsWith('{')) return text
  try {
    const { MediaURI } = JSON.parse(text) as { MediaURI?: unknown }
    return typeof MediaURI === 'string' ? MediaURI : ''
  } catch {
    return ''
  }
}

function inUse(message: string): ServiceError {
  return new ServiceError('conflict', 'ResourceInUseException', message)
}
