import { ServiceError } from '../../domain/errors.ts'
import { epochMs } from '../../domain/time.ts'
import type { StreamInfo } from '../../registry/index.ts'
import { string } from '../aws/input-schema.ts'
import type { KinesisVideoService } from './operation.ts'

/** Members of every input that names a stream, by exactly one of them. */
export const streamReference = {
  StreamName: string({ min: 1, max: 256, pattern: '[a-zA-Z0-9_.-]+' }),
  StreamARN: string({
    min: 1,
    max: 1024,
    pattern: 'arn:[a-z\\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+',
  }),
}

/**
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException` for none or both,
 *   `not-found`/`ResourceNotFoundException`
 */
export function findStream(
  service: Pick<KinesisVideoService, 'registry'>,
  { StreamName, StreamARN }: { StreamName?: string | undefined; StreamARN?: string | undefined },
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
  { StreamName, StreamARN }: { StreamName?: string | undefined; StreamARN?: string | undefined },
  service: Pick<KinesisVideoService, 'registry' | 'region' | 'accountId'>,
): string {
  if (StreamName === undefined) return StreamARN ?? '*'
  const info = service.registry.find(StreamName)
  return toStreamArn(service, info ?? { name: StreamName, createdAt: epochMs(0) })
}

/** The last part is the creation time, so that a stream made again has another ARN. */
export function toStreamArn(
  { region, accountId }: Pick<KinesisVideoService, 'region' | 'accountId'>,
  { name, createdAt }: Pick<StreamInfo, 'name' | 'createdAt'>,
): string {
  return `arn:aws:kinesisvideo:${region}:${accountId}:stream/${name}/${createdAt}`
}

/** `null` when it is the ARN of something else. Any partition, region and account will do. */
export function parseStreamArn(arn: string): { name: string; createdAtMs: number } | null {
  const match = STREAM_ARN.exec(arn)
  return match === null ? null : { name: match[1]!, createdAtMs: Number(match[2]) }
}

export function invalid(message: string): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidArgumentException', message)
}

const STREAM_ARN =
  /^arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:stream\/([a-zA-Z0-9_.-]{1,256})\/([0-9]{1,16})$/
