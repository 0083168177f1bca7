import { ServiceError } from '../../domain/errors.ts'
import { requireAllowed, type Circumstances, type IdentityPolicies } from '../auth/index.ts'
import { findConsumerByArn } from './consumer-address.ts'
import type { KinesisService } from './operation.ts'
import { openIterator } from './shard-iterator.ts'
import { toStreamArn } from './stream-address.ts'

/** A policy cannot take away from its owner the operations that mend it. */
const POLICY_OPERATIONS: ReadonlySet<string> = new Set([
  'PutResourcePolicy',
  'GetResourcePolicy',
  'DeleteResourcePolicy',
])

/** @throws `permission-denied`/`AccessDeniedException` */
export function authorise(
  call: {
    readonly operation: string
    readonly resource: CalledResource
    readonly accessKeyId: string
    readonly circumstances: Circumstances
  },
  service: KinesisService,
  identityOf: IdentityPolicies,
): void {
  const { operation, accessKeyId, circumstances } = call
  const { arn, policies } = call.resource
  const identity = identityOf(accessKeyId)
  if (identity === null && POLICY_OPERATIONS.has(operation)) return
  const question = {
    accessKeyId,
    action: `kinesis:${operation}`,
    resource: arn,
    resourcePolicies: policies,
    accountId: service.accountId,
    circumstances,
    resourceTags: () => tagsOf(arn, service),
  }
  requireAllowed(question, identity)
}

type Input = {
  readonly StreamName?: string
  readonly StreamARN?: string
  readonly ConsumerARN?: string
  readonly ResourceARN?: string
  readonly ShardIterator?: string
}

export type CalledResource = { readonly arn: string; readonly policies: readonly string[] }

/** What a call is about, and the policies there. What does not exist has none and is not found later. */
export function resourceOf(called: unknown, service: KinesisService): CalledResource {
  const input = called as Input
  const arn = input.ConsumerARN ?? input.ResourceARN ?? input.StreamARN
  const name = input.StreamName ?? iteratedStream(input.ShardIterator, service)
  if (arn === undefined && name === null) return { arn: '*', policies: [] }
  const named = arn ?? toStreamArn(name!, service)
  return { arn: named, policies: policiesOf(named, service) }
}

function iteratedStream(token: string | undefined, service: KinesisService): string | null {
  if (token === undefined) return null
  return openIterator(service.sealer, token, service.clock.now()).stream
}

function policiesOf(arn: string, service: KinesisService): readonly string[] {
  const stream = streamIn(arn)
  if (stream === null || !service.dataStreams.list().includes(stream)) return []
  if (!arn.includes('/consumer/')) return toTexts(service.dataStreams.settings(stream).policy)
  try {
    return toTexts(findConsumerByArn(arn, service).consumer.policy)
  } catch (error) {
    if (error instanceof ServiceError) return [] // not found: said by the operation
    throw error
  }
}

/** Of the stream, also when the call is about a consumer of it. */
function tagsOf(arn: string, { dataStreams }: KinesisService): Readonly<Record<string, string>> {
  const stream = streamIn(arn)
  return stream === null || !dataStreams.list().includes(stream)
    ? {}
    : dataStreams.settings(stream).tags
}

function streamIn(arn: string): string | null {
  return /:stream\/([^/]+)/.exec(arn)?.[1] ?? null
}

function toTexts(policy: string | null): readonly string[] {
  return policy === null ? [] : [policy]
}
