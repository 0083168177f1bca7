import { findConsumerByArn, type NamedConsumer } from './consumer-address.ts'
import { string } from '../aws/input-schema.ts'
import type { KinesisService } from './operation.ts'
import { toStreamName } from './stream-address.ts'

export const resourceArn = string({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+',
})

/** What can be tagged and have a policy. */
export type TaggableResource = {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly policy: string | null
  readonly update: (change: {
    tags?: Readonly<Record<string, string>>
    policy?: string | null
  }) => Promise<void>
}

/**
 * The stream or the consumer with this ARN.
 *
 * @throws `not-found`/`ResourceNotFoundException`
 */
export function findResource(arn: string, service: KinesisService): TaggableResource {
  const { dataStreams } = service
  if (arn.includes('/consumer/')) return toResource(findConsumerByArn(arn, service), service)
  const name = toStreamName({ StreamARN: arn }, service)
  const { tags, policy } = dataStreams.settings(name)
  const update: TaggableResource['update'] = (change) => dataStreams.update(name, change)
  return { name: `stream ${name}`, tags, policy, update }
}

function toResource(
  { stream, consumer }: NamedConsumer,
  service: KinesisService,
): TaggableResource {
  const { name, tags, policy } = consumer
  return {
    ...{ name: `consumer ${name}`, tags, policy },
    update: (change) => service.dataStreams.consumers(stream).update(name, change),
  }
}
