import type { EdgeConfigurations, SourceRegistry, StreamRegistry } from '../../registry/index.ts'
import type { Sources } from '../../ingest/index.ts'
import type { Archive } from '../../archive/index.ts'
import type { Log } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Clips, Images, StreamingSessions } from '../../playback/index.ts'
import type { Caller } from '../auth/index.ts'
import type { InputOf, Member } from '../aws/input-schema.ts'
import type { TokenSealer } from '../aws/sealed-token.ts'
import type { MediaReaders } from './get-media/media-readers.ts'
import type { CallLimit } from './archived/call-limit.ts'
import type { ControlPlane } from './control-plane.ts'
import type { ErrorDialect } from './errors.ts'
import type { MediaAnswer } from './media-answer.ts'

/** What operations work with. */
export type KinesisVideoService = {
  readonly registry: StreamRegistry
  readonly sources: SourceRegistry
  readonly pulls: Sources
  readonly edgeConfigurations: EdgeConfigurations
  /** The text behind a Secrets Manager ARN; `null` when there is none of that name. */
  readonly secretOf: (arn: string) => Promise<string | null>
  readonly archive: Archive
  readonly mediaReaders: MediaReaders
  readonly metrics: Metrics
  readonly log: Log
  readonly clips: Clips
  readonly images: Images
  readonly streaming: StreamingSessions
  /** Calls that read the archive, and are answered at a time. */
  readonly archivedCalls: CallLimit
  /** Of paging and session tokens. */
  readonly sealer: TokenSealer
  readonly control: ControlPlane
  readonly clock: Clock
  readonly region: string
  readonly accountId: string
}

/** One authenticated request. */
export type Call = {
  readonly service: KinesisVideoService
  readonly caller: Caller
  /** Scheme, host and port by which the client reached the service. */
  readonly origin: string
  /** Aborts when the client is gone or the API closes: for answers that go on. */
  readonly gone: AbortSignal
}

/** One operation of the API: where it is, its input, what it is about and what it does. */
export type Operation = {
  readonly name: string
  /** `POST /<name with a small first letter>` but for a few. */
  readonly path: string
  /** What a user of the cloud's own service will find different, in one or two sentences; `null`: nothing. */
  readonly differs: string | null
  /** Whether it does what it is for. */
  readonly isAvailable: boolean
  readonly errors: ErrorDialect
  readonly input: Member<unknown>
  /** ARN of what policies are asked about; `*` for operations about nothing that exists. */
  readonly resource: (input: never, service: KinesisVideoService) => string
  readonly handle: (input: never, call: Call) => Promise<object | MediaAnswer>
}

export function defineOperation<M extends Member<unknown>>(operation: {
  readonly name: string
  readonly path?: string
  readonly differs: string | null
  /** Default true. */
  readonly isAvailable?: boolean
  /** Default `not-authorized`. */
  readonly errors?: ErrorDialect
  readonly input: M
  readonly resource: (input: InputOf<M>, service: KinesisVideoService) => string
  readonly handle: (input: InputOf<M>, call: Call) => Promise<object | MediaAnswer>
}): Operation {
  const { name } = operation
  return {
    isAvailable: true,
    errors: 'not-authorized',
    ...operation,
    path: operation.path ?? `/${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  }
}
