import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { ImageGeneration, StreamNotification } from './media-delivery.ts'
import type { Tags } from './tags.ts'

/** A registered video stream. */
export type StreamInfo = {
  readonly streamId: StreamId
  readonly name: string
  readonly createdAt: EpochMs
  /** 1..87600, or 0: a live buffer of five minutes only. */
  readonly retentionHours: number
  /** Bytes of media it may have, at least 1,000,000; absent: no limit of its own. */
  readonly quotaBytes?: number
  /** Alphanumeric; another one after every change but those of tags. */
  readonly version: string
  /** What follows is what clients of the Kinesis Video API said of it; up to the tags, for each other only. */
  readonly deviceName: string | null
  /** Such as `video/h264,audio/aac`. */
  readonly mediaType: string | null
  /** `null`: the service's own key. */
  readonly kmsKeyId: string | null
  readonly storageTier: StorageTier
  readonly tags: Tags
  /** `null`: never configured, or deleted. */
  readonly imageGeneration: ImageGeneration | null
  readonly notification: StreamNotification | null
}

/** Of what nobody said anything about. */
export const STREAM_DEFAULTS: Pick<
  StreamInfo,
  | 'deviceName'
  | 'mediaType'
  | 'kmsKeyId'
  | 'storageTier'
  | 'tags'
  | 'imageGeneration'
  | 'notification'
> = {
  deviceName: null,
  mediaType: null,
  kmsKeyId: null,
  storageTier: 'HOT',
  tags: {},
  imageGeneration: null,
  notification: null,
}

export type StorageTier = 'HOT' | 'WARM'

export type NewStream = {
  readonly name: string
  readonly retentionHours: number
  readonly quotaBytes?: number | null
  /** At least 8 characters; made up when absent. */
  readonly publishKey?: string
  readonly deviceName?: string | null
  readonly mediaType?: string | null
  readonly kmsKeyId?: string | null
  readonly storageTier?: StorageTier
  readonly tags?: Tags
}

export type StreamChange = {
  readonly retentionHours?: number
  /** `null` lifts the quota. */
  readonly quotaBytes?: number | null
  readonly publishKey?: string
  readonly deviceName?: string
  readonly mediaType?: string
  readonly storageTier?: StorageTier
  readonly tags?: Tags
  readonly imageGeneration?: ImageGeneration | null
  readonly notification?: StreamNotification | null
}

export type DigestAlgorithm = 'MD5' | 'SHA-256'
export const DIGEST_REALM = 'kinora'

/** The named video streams. Survives restarts; changes are durable when they resolve. */
export interface StreamRegistry {
  /** In order of the name. */
  list(): readonly StreamInfo[]
  find(name: string): StreamInfo | null
  findById(streamId: StreamId): StreamInfo | null
  /** @throws ServiceError `not-found`/`StreamNotFound` */
  get(name: string): StreamInfo
  /**
   * @throws ServiceError `conflict`/`StreamExists`, `invalid-argument`/`InvalidStreamName`,
   *   `limit-exceeded`/`TooManyTags`
   */
  create(stream: NewStream): Promise<{ readonly info: StreamInfo; readonly publishKey: string }>
  /**
   * Changes of one stream happen one after the other.
   *
   * @param change or what makes it of the stream as it is when its turn has come: for conditions, and
   *   for what depends on the former value; what it throws changes nothing
   * @throws ServiceError `not-found`/`StreamNotFound`, `limit-exceeded`/`TooManyTags`
   */
  update(
    name: string,
    change: StreamChange | ((current: StreamInfo) => StreamChange),
  ): Promise<StreamInfo>
  delete(name: string): Promise<void>
  /** Constant-time; false for an unknown stream too, so that a guess learns nothing. */
  acceptsPublishKey(name: string, key: string): boolean
  /**
   * H(A1) of RFC 7616 §3.4.2 for a publisher whose user name is the stream's name, whose realm is
   * {@link DIGEST_REALM} and whose password is the publish key: lower-case hex. For an unknown stream
   * too: a value that nothing matches.
   */
  publishDigest(name: string, algorithm: DigestAlgorithm): string
}
