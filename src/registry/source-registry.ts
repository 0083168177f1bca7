import type { SourceCredentials } from '../domain/source-url.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'

/** A camera that we call for a stream's media: what may be shown of it. One per stream. */
export type SourceInfo = {
  readonly stream: string
  readonly streamId: StreamId
  /** `config`: declared in the configuration, and changed only there. */
  readonly origin: 'config' | 'runtime'
  /** Without user information, other secrets masked. */
  readonly url: string
  readonly username: string | null
  readonly hasPassword: boolean
  readonly transport: SourceTransport
  readonly verifyCertificate: boolean
  readonly enabled: boolean
  readonly connectTimeoutMs: number
  readonly stallTimeoutMs: number
  readonly createdAt: EpochMs
  /** Changes with every update. */
  readonly version: number
}

export type SourceTransport = 'auto' | 'tcp' | 'udp'

/** What it takes to call a source, secrets in the clear. */
export type SourceSettings = {
  readonly url: URL
  readonly credentials: SourceCredentials | null
  readonly transport: SourceTransport
  readonly verifyCertificate: boolean
  readonly connectTimeoutMs: number
  readonly stallTimeoutMs: number
}

export type NewSource = {
  readonly stream: string
  /** rtsp, rtsps, rtmp, rtmps, http or https; `user:password@` in it counts as given apart. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** Of RTSP; default `auto`: TCP, and UDP when the peer refuses it. */
  readonly transport?: SourceTransport
  /** Default true. */
  readonly verifyCertificate?: boolean
  /** Default true. */
  readonly enabled?: boolean
  /** 500 to 60,000, default 5000. */
  readonly connectTimeoutMs?: number
  /** 1000 to 300,000, default 10,000. */
  readonly stallTimeoutMs?: number
}

/** What is absent stays; `username: null` drops the credentials. */
export type SourceChange = Partial<Omit<NewSource, 'stream' | 'username'>> & {
  readonly username?: string | null
}

/**
 * The pulled sources of the streams. Survives restarts; changes are durable when they resolve. A
 * source is gone with its stream.
 */
export interface SourceRegistry {
  /** In order of the stream's name. */
  list(): readonly SourceInfo[]
  find(stream: string): SourceInfo | null
  /** @throws ServiceError `not-found`/`SourceNotFound` */
  get(stream: string): SourceInfo
  /**
   * For the one who calls the source; never shown.
   *
   * @throws ServiceError `not-found`/`SourceNotFound`, `data-loss`/`SecretUnreadable`
   */
  settings(stream: string): SourceSettings
  /**
   * @throws ServiceError `not-found`/`StreamNotFound`, `conflict`/`SourceExists`,
   *   `invalid-argument`/`InvalidSource` whose message begins with the field
   */
  create(source: NewSource): Promise<SourceInfo>
  /**
   * A new scheme, host or port needs the password again: else whoever may change a source could have
   * its password sent to an address of theirs.
   *
   * @throws ServiceError as {@link create}, `conflict`/`SourceDeclared` for one of the configuration
   */
  update(stream: string, change: SourceChange): Promise<SourceInfo>
  /** @throws ServiceError `not-found`/`SourceNotFound`, `conflict`/`SourceDeclared` */
  delete(stream: string): Promise<void>
  /** Forgets sources whose stream is gone: for whoever removes a stream. */
  prune(): Promise<void>
  /** Calls back after every change, with the stream's name. @returns how to end that */
  watch(listener: (stream: string) => void): () => void
}
