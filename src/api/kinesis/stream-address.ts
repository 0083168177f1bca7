import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import { string } from '../aws/input-schema.ts'
import type { KinesisService } from './operation.ts'

export const streamName = string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const streamArn = string({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+',
})
export const shardId = string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })

/** Most inputs name their stream by name, by ARN, or by both. StreamId is reserved: taken, unused. */
export const streamMembers = { StreamName: streamName, StreamARN: streamArn }

export type StreamAddress = {
  readonly StreamName?: string | undefined
  readonly StreamARN?: string | undefined
}

/**
 * The name of the addressed stream, which need not exist. An ARN of any region is ours, since
 * clients are configured for any.
 *
 * @throws `invalid-argument`/`InvalidArgumentException` when neither is given or they disagree;
 *   `not-found`/`ResourceNotFoundException` for another account
 */
export function toStreamName(address: StreamAddress, service: KinesisService): string {
  const { StreamName: name, StreamARN: arn } = address
  if (arn === undefined) {
    if (name !== undefined) return name
    throw invalid('Either StreamName or StreamARN must be specified.')
  }
  const [, account, named] = /:(\d{12}):stream\/(\S+)$/.exec(arn) ?? []
  if (name !== undefined && name !== named) {
    throw invalid('StreamName and StreamARN must name the same stream.')
  }
  if (account !== service.accountId) {
    throw new ServiceError(
      'not-found',
      'ResourceNotFoundException',
      `Stream ${named} under account ${account} not found.`,
    )
  }
  return named!
}

export function toStreamArn(name: string, { region, accountId }: KinesisService): string {
  return `arn:aws:kinesis:${region}:${accountId}:stream/${name}`
}

/** A stream deleted and created again is another one; some inputs say which they mean. */
export function refuseOtherGeneration(
  name: string,
  wanted: EpochMs | undefined,
  createdAt: EpochMs,
): void {
  // Clients hand back what they were given, in seconds as a double or cut to whole ones.
  if (wanted === undefined || Math.floor(wanted / 1000) === Math.floor(createdAt / 1000)) return
  throw new ServiceError('not-found', 'ResourceNotFoundException', `Stream ${name} not found.`, {
    context: { stream: name },
  })
}

export function invalid(message: string): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidArgumentException', message)
}
