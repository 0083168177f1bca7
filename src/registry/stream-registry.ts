import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'

/** A registered video stream. */
export type StreamInfo = {
  readonly streamId: StreamId
  readonly name: string
  readonly createdAt: EpochMs
  /** 1..87600, or 0: a live buffer of five minutes only. */
  readonly retentionHours: number
  /** Bytes of media it may have, at least 1,000,000; absent: no limit of its own. */
  readonly quotaBytes?: number
  /** Changes with every update. */
  readonly version: number
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
  /** @throws ServiceError `conflict`/`StreamExists`, `invalid-argument`/`InvalidStreamName` */
  create(options: {
    name: string
    retentionHours: number
    quotaBytes?: number | null
    /** At least 8 characters; made up when absent. */
    publishKey?: string
  }): Promise<{ readonly info: StreamInfo; readonly publishKey: string }>
  update(
    name: string,
    /** `quotaBytes: null` lifts the quota. */
    change: { retentionHours?: number; quotaBytes?: number | null; publishKey?: string },
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
