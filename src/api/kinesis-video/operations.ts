import { getClip } from './archived/get-clip.ts'
import { getImages } from './archived/get-images.ts'
import { getMediaForFragmentList } from './archived/get-media-for-fragment-list.ts'
import { listFragments } from './archived/list-fragments.ts'
import { deleteEdgeConfiguration } from './edge/delete-edge-configuration.ts'
import { describeEdgeConfiguration } from './edge/describe-edge-configuration.ts'
import { listEdgeAgentConfigurations } from './edge/list-edge-agent-configurations.ts'
import { startEdgeConfigurationUpdate } from './edge/start-edge-configuration-update.ts'
import { getMedia } from './get-media/get-media.ts'
import type { Operation } from './operation.ts'
import { getDashStreamingSessionUrl } from './sessions/get-dash-streaming-session-url.ts'
import { getHlsStreamingSessionUrl } from './sessions/get-hls-streaming-session-url.ts'
import { describeImageGenerationConfiguration } from './settings/describe-image-generation-configuration.ts'
import { describeMappedResourceConfiguration } from './settings/describe-mapped-resource-configuration.ts'
import { describeNotificationConfiguration } from './settings/describe-notification-configuration.ts'
import { describeStreamStorageConfiguration } from './settings/describe-stream-storage-configuration.ts'
import { updateImageGenerationConfiguration } from './settings/update-image-generation-configuration.ts'
import { updateNotificationConfiguration } from './settings/update-notification-configuration.ts'
import { updateStreamStorageConfiguration } from './settings/update-stream-storage-configuration.ts'
import { createSignalingChannel } from './signaling/create-signaling-channel.ts'
import { deleteSignalingChannel } from './signaling/delete-signaling-channel.ts'
import { describeMediaStorageConfiguration } from './signaling/describe-media-storage-configuration.ts'
import { describeSignalingChannel } from './signaling/describe-signaling-channel.ts'
import { getSignalingChannelEndpoint } from './signaling/get-signaling-channel-endpoint.ts'
import { listSignalingChannels } from './signaling/list-signaling-channels.ts'
import {
  getIceServerConfig,
  joinStorageSession,
  joinStorageSessionAsViewer,
  sendAlexaOfferToMaster,
} from './signaling/media-path.ts'
import { updateMediaStorageConfiguration } from './signaling/update-media-storage-configuration.ts'
import { updateSignalingChannel } from './signaling/update-signaling-channel.ts'
import { createStream } from './streams/create-stream.ts'
import { deleteStream } from './streams/delete-stream.ts'
import { describeStream } from './streams/describe-stream.ts'
import { getDataEndpoint } from './streams/get-data-endpoint.ts'
import { listStreams } from './streams/list-streams.ts'
import { updateDataRetention } from './streams/update-data-retention.ts'
import { updateStream } from './streams/update-stream.ts'
import { listTagsForResource } from './tags/list-tags-for-resource.ts'
import { listTagsForStream } from './tags/list-tags-for-stream.ts'
import { tagResource } from './tags/tag-resource.ts'
import { tagStream } from './tags/tag-stream.ts'
import { untagResource } from './tags/untag-resource.ts'
import { untagStream } from './tags/untag-stream.ts'

/** By API, as the SDKs divide them into clients. PutMedia is in none of them. */
export const operationsByApi = {
  control: [
    createStream,
    deleteStream,
    describeStream,
    getDataEndpoint,
    listStreams,
    updateDataRetention,
    updateStream,
    tagStream,
    untagStream,
    listTagsForStream,
    tagResource,
    untagResource,
    listTagsForResource,
    updateImageGenerationConfiguration,
    describeImageGenerationConfiguration,
    updateNotificationConfiguration,
    describeNotificationConfiguration,
    updateStreamStorageConfiguration,
    describeStreamStorageConfiguration,
    describeMappedResourceConfiguration,
    startEdgeConfigurationUpdate,
    describeEdgeConfiguration,
    deleteEdgeConfiguration,
    listEdgeAgentConfigurations,
    createSignalingChannel,
    describeSignalingChannel,
    listSignalingChannels,
    updateSignalingChannel,
    deleteSignalingChannel,
    getSignalingChannelEndpoint,
    updateMediaStorageConfiguration,
    describeMediaStorageConfiguration,
  ],
  media: [getMedia],
  'archived media': [
    listFragments,
    getMediaForFragmentList,
    getClip,
    getImages,
    getHlsStreamingSessionUrl,
    getDashStreamingSessionUrl,
  ],
  signaling: [getIceServerConfig, sendAlexaOfferToMaster],
  'WebRTC storage': [joinStorageSession, joinStorageSessionAsViewer],
} satisfies Readonly<Record<string, readonly Operation[]>>

/** Its body has no end, so it is answered on its own: see put-media/. */
export const putMediaOperation = {
  name: 'PutMedia',
  path: '/putMedia',
  isAvailable: true,
  differs:
    'No end after 45 minutes, and no limits of rate or length but 50 MB a fragment. Timecodes that step ' +
    'back and fragments without a frame of every track are taken; missing CodecPrivate is made out of ' +
    'the media. Calls of one stream may overlap.',
} as const satisfies Partial<Operation>

/** By path. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  Object.values(operationsByApi)
    .flat()
    .map((operation) => [operation.path, operation]),
)
