import type { DataStreams } from '../../datastream/index.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Caller } from '../auth/index.ts'
import type { Codec } from '../aws/codec.ts'
import type { CallMetrics } from './call-metrics.ts'
import type { EventStream } from './event-stream.ts'
import type { SharedRecords } from './render-records.ts'
import type { InputOf, Member } from '../aws/input-schema.ts'
import type { TokenSealer } from '../aws/sealed-token.ts'

/** What operations work with. */
export type KinesisService = {
  readonly dataStreams: DataStreams
  readonly clock: Clock
  readonly sealer: TokenSealer
  readonly sharedRecords: SharedRecords
  readonly calls: CallMetrics
  readonly region: string
  readonly accountId: string
}

/** One authenticated request. */
export type Call = {
  readonly service: KinesisService
  readonly codec: Codec
  readonly caller: Caller
  /** Aborts when the client is gone or the API closes: for answers that go on. */
  readonly gone: AbortSignal
}

/** One operation of the API: its input and what it does. `null` is an answer without members. */
export type Operation = {
  readonly name: string
  readonly input: Member<unknown>
  readonly handle: (input: never, call: Call) => Promise<Output>
  /** A faster way to read JSON; `null`: not this one. What it gives is checked as any input. */
  readonly scan?: (body: Buffer, take: (byteLength: number) => Buffer) => unknown
}

/** A Buffer is rendered already, in the content type of the call. */
export type Output = object | Buffer | EventStream | null

export function defineOperation<M extends Member<unknown>>(
  name: string,
  input: M,
  handle: (input: InputOf<M>, call: Call) => Promise<Output>,
): Operation {
  return { name, input, handle }
}
