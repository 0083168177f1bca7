import { createTokenSealer } from './api/aws/sealed-token.ts'
import {
  CallLimit,
  createCallRates,
  createKinesisVideoApi,
  DOCUMENTED_RATES,
  MediaReaders,
  type KinesisVideoApi,
  type KinesisVideoApiParts,
} from './api/kinesis-video/index.ts'
import type { AwsAccess } from './aws-access.ts'
import type { Config } from './config/index.ts'
import { createLocalSecrets } from './local-secrets.ts'
import type { MetaStore } from './platform/meta-store.ts'
import { createClips, createStreamingSessions, type FragmentSource } from './playback/index.ts'
import { createEdgeConfigurations, openChannelRegistry } from './registry/index.ts'

/** What of it others use as well. */
type SharedParts = Pick<
  KinesisVideoApiParts,
  | 'registry'
  | 'archive'
  | 'sessions'
  | 'sources'
  | 'pulls'
  | 'images'
  | 'audit'
  | 'clock'
  | 'events'
  | 'metrics'
  | 'log'
> & {
  readonly meta: MetaStore
  readonly playableAudio: FragmentSource
  readonly awsAccess: AwsAccess
  readonly sealingKey: Uint8Array
}

/** The Kinesis Video Streams API with the parts that it alone has. */
export async function createVideoApi(config: Config, parts: SharedParts): Promise<KinesisVideoApi> {
  const { meta, playableAudio, awsAccess, sealingKey, ...shared } = parts
  const { registry, archive, sessions, events, metrics, clock } = shared
  const { kinesisVideo, archivedMedia, putMedia, getMedia } = config
  return createKinesisVideoApi({
    ...shared,
    ...awsAccess,
    callRates: createCallRates(
      [...(kinesisVideo.rates === 'documented' ? DOCUMENTED_RATES : []), ...kinesisVideo.ownRates],
      { clock, metrics },
    ),
    clips: createClips({
      archive,
      source: playableAudio,
      limits: {
        maxFragments: archivedMedia.clipMaxFragments,
        maxBytes: archivedMedia.clipMaxBytes,
      },
      onLeftOut: ({ streamId, fragmentNumber }, error) =>
        events.clipFragmentLeftOut({
          stream: registry.findById(streamId)?.name ?? streamId,
          ...{ fragmentNumber, reason: error.code, error },
        }),
    }),
    streaming: createStreamingSessions({ archive, source: playableAudio, clock }),
    archivedCalls: new CallLimit(archivedMedia.maxCallsPerStream),
    sealer: createTokenSealer(sealingKey),
    control: {
      sessions,
      channels: await openChannelRegistry(meta, clock),
      limits: {
        maxStreams: kinesisVideo.maxStreams,
        maxChannels: kinesisVideo.maxSignalingChannels,
      },
    },
    publicOrigin: config.publicUrl === null ? undefined : new URL(config.publicUrl).origin,
    edgeConfigurations: createEdgeConfigurations(meta),
    secretOf: createLocalSecrets(config.secrets),
    putMediaLimits: {
      maxTogether: putMedia.maxCallsPerStream,
      maxTracks: putMedia.maxTracks,
      maxFragmentBytes: putMedia.maxFragmentBytes,
    },
    mediaReaders: new MediaReaders({
      maxReadersPerStream: getMedia.maxReadersPerStream,
      idleMs: getMedia.idleTimeoutMs,
    }),
    region: config.aws.region,
    accountId: config.aws.accountId,
  })
}
