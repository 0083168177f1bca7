import type { EdgeConfigurations, SourceRegistry, StreamRegistry } from '../../registry/index.ts'
import type { Sources } from '../../ingest/index.ts'
import type { Clock } from '../../platform/clock.ts'
import type { InputOf, Member } from '../kinesis/input-schema.ts'

/** What operations work with. */
export type KinesisVideoService = {
  readonly registry: StreamRegistry
  readonly sources: SourceRegistry
  readonly pulls: Sources
  readonly edgeConfigurations: EdgeConfigurations
  /** The text behind a Secrets Manager ARN; `null` when there is none of that name. */
  readonly secretOf: (arn: string) => Promise<string | null>
  readonly clock: Clock
  readonly region: string
  readonly accountId: string
}

/** One operation of the API: `POST /<name with a small first letter>`, its input, what it does. */
export type Operation = {
  readonly name: string
  readonly input: Member<unknown>
  readonly handle: (input: never, service: KinesisVideoService) => Promise<object>
}

export function defineOperation<M extends Member<unknown>>(
  name: string,
  input: M,
  handle: (input: InputOf<M>, service: KinesisVideoService) => Promise<object>,
): Operation {
  return { name, input, handle }
}
