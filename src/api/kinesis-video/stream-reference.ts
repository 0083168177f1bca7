import { ServiceError } from '../../domain/errors.ts'
import { epochMs } from '../../domain/time.ts'
import type { StreamInfo } from '../../registry/index.ts'
import { string } from '../aws/input-schema.ts'
import type { KinesisVideoService } from './operation.ts'

/** Of a stream or a channel. */
export const resourceName = string({ min: 1, max: 256, pattern: '[a-zA-Z0-9_.-]+' })
export const resourceArn = string({
  min: 1,
  max: 1024,
  pattern: 'arn:[a-z\\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+',
})

/** Members of every input that names a stream, by exactly one of them. */
export const streamReference = { StreamName: resourceName, StreamARN: resourceArn }
export type StreamReference = {
  readonly StreamName?: string | undefined
  readonly StreamARN?: string | undefined
}

/**
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException` for none or both,
 *   `not-found`/`ResourceNotFoundException`
 */
export function findStream(
  service: Pick<KinesisVideoService, 'registry'>,
  { StreamName, StreamARN }: StreamReference,
): StreamInfo {
  if ((StreamName === undefined) === (StreamARN === undefined)) {
    throw invalid('Either the StreamName or the StreamARN must be given, and not both.')
  }
  const arn = StreamARN === undefined ? null : parseStreamArn(StreamARN)
  const info = service.registry.find(StreamName ?? arn?.name ?? '')
  if (info !== null && (arn === null || arn.createdAtMs === info.createdAt)) return info
  throw new ServiceError(
    'not-found',
    'ResourceNotFoundException',
    'The requested stream is not found or not active.',
  )
}

/** What policies are asked about: the stream's ARN; what it would be when there is no such stream. */
export function streamResource(
  { StreamName, StreamARN }: StreamReference,
  service: Pick<KinesisVideoService, 'registry' | 'region' | 'accountId'>,
): string {
  if (StreamName === undefined)
    return StreamARN === undefined ? '*' : canonicalArn(service, StreamARN)
  const info = service.registry.find(StreamName)
  return toStreamArn(service, info ?? { name: StreamName, createdAt: epochMs(0) })
}

/** The last part is the creation time, so that a stream made again has another ARN. */
export function toStreamArn(
  place: Place,
  { name, createdAt }: Pick<StreamInfo, 'name' | 'createdAt'>,
): string {
  return toArn(place, { type: 'stream', name, createdAtMs: createdAt })
}

/** `null` when it is the ARN of something else. Any partition, region and account will do. */
export function parseStreamArn(arn: string): Omit<Resource, 'type'> | null {
  const parsed = parseArn(arn)
  return parsed?.type === 'stream' ? parsed : null
}

type Place = Pick<KinesisVideoService, 'region' | 'accountId'>

/** What an ARN of this API names. */
export type Resource = {
  readonly type: string
  readonly name: string
  readonly createdAtMs: number
}

export function parseArn(arn: string): Resource | null {
  const match = ARN.exec(arn)
  return match === null ? null : { type: match[1]!, name: match[2]!, createdAtMs: Number(match[3]) }
}

export function toArn({ region, accountId }: Place, { type, name, createdAtMs }: Resource): string {
  return `arn:aws:kinesisvideo:${region}:${accountId}:${type}/${name}/${createdAtMs}`
}

/**
 * The one spelling by which policies know a resource: an ARN is taken with any partition, region and
 * account, and with leading zeros, and must not pass a policy by that.
 */
export function canonicalArn(place: Place, arn: string): string {
  const parsed = parseArn(arn)
  return parsed === null ? arn : toArn(place, parsed)
}

export function invalid(message: string): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidArgumentException', message)
}

const ARN =
  /^arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:([a-z]+)\/([a-zA-Z0-9_.-]{1,256})\/([0-9]{1,16})$/
