import { ServiceError } from '../../../domain/errors.ts'
import type { ChannelChange, SignalingChannel } from '../../../registry/index.ts'
import type { KinesisVideoService } from '../operation.ts'
import {
  canonicalArn,
  invalid,
  parseArn,
  resourceArn,
  resourceName,
  toArn,
} from '../stream-reference.ts'
import { requireVersion } from '../streams/change-stream.ts'

/** Members of the inputs that name a channel by exactly one of them. */
export const channelReference = { ChannelName: resourceName, ChannelARN: resourceArn }

export type ChannelReference = {
  readonly ChannelName?: string | undefined
  readonly ChannelARN?: string | undefined
}

/**
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException` for none or both,
 *   `not-found`/`ResourceNotFoundException`
 */
export function findChannel(
  { control }: KinesisVideoService,
  { ChannelName, ChannelARN }: ChannelReference,
): SignalingChannel {
  if ((ChannelName === undefined) === (ChannelARN === undefined)) {
    throw invalid('Either the ChannelName or the ChannelARN must be given, and not both.')
  }
  const arn = ChannelARN === undefined ? null : parseChannelArn(ChannelARN)
  const channel = control.channels.find(ChannelName ?? arn?.name ?? '')
  if (channel !== null && (arn === null || arn.createdAtMs === channel.createdAt)) return channel
  throw new ServiceError(
    'not-found',
    'ResourceNotFoundException',
    'The requested channel is not found or not active.',
  )
}

/** What policies are asked about: the channel's ARN; what it would be when there is no such channel. */
export function channelResource(
  { ChannelName, ChannelARN }: ChannelReference,
  service: KinesisVideoService,
): string {
  if (ChannelName === undefined) {
    return ChannelARN === undefined ? '*' : canonicalArn(service, ChannelARN)
  }
  const channel = service.control.channels.find(ChannelName)
  return toChannelArn(service, channel ?? { name: ChannelName, createdAt: 0 })
}

export function toChannelArn(
  service: Pick<KinesisVideoService, 'region' | 'accountId'>,
  { name, createdAt }: { readonly name: string; readonly createdAt: number },
): string {
  return toArn(service, { type: 'channel', name, createdAtMs: createdAt })
}

/** `null` when it is the ARN of something else. */
export function parseChannelArn(arn: string): { name: string; createdAtMs: number } | null {
  const parsed = parseArn(arn)
  return parsed?.type === 'channel' ? parsed : null
}

/**
 * Changes a channel, unless somebody else did so since the caller looked at it.
 *
 * @param change of the channel as it is at its turn; what it throws changes nothing
 * @throws ServiceError `not-found`/`ResourceNotFoundException`, `conflict`/`VersionMismatchException`
 */
export function changeChannel(
  service: KinesisVideoService,
  input: ChannelReference & { readonly CurrentVersion?: string | undefined },
  change: (current: SignalingChannel) => ChannelChange,
): Promise<SignalingChannel> {
  const { name } = findChannel(service, input)
  return service.control.channels.update(name, () => {
    const current = findChannel(service, input) // by now it may be another one of that name
    requireVersion(current, input.CurrentVersion)
    return change(current)
  })
}
