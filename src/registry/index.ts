export {
  DIGEST_REALM,
  STREAM_DEFAULTS,
  type DigestAlgorithm,
  type NewStream,
  type StorageTier,
  type StreamChange,
  type StreamInfo,
  type StreamRegistry,
} from './stream-registry.ts'
export type { Tags } from './tags.ts'
export type { ImageGeneration, StreamNotification } from './media-delivery.ts'
export { openStreamRegistry } from './meta-stream-registry.ts'
export {
  openChannelRegistry,
  type ChannelChange,
  type ChannelRegistry,
  type SignalingChannel,
} from './channel-registry.ts'
export { openCredentials, type Credentials } from './credentials.ts'
export type {
  NewSource,
  SourceChange,
  SourceInfo,
  SourceRegistry,
  SourceSettings,
  SourceTransport,
} from './source-registry.ts'
export { openSourceRegistry } from './meta-source-registry.ts'
export { createSecretBox, type SecretBox } from './secret-box.ts'
export { parseNewSource } from './source-terms.ts'
export {
  createEdgeConfigurations,
  type EdgeConfiguration,
  type EdgeConfigurations,
} from './edge-configurations.ts'
