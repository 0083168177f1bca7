import { ServiceError } from '../../domain/errors.ts'
import type { StreamConsumer } from '../../datastream/index.ts'
import { string } from '../aws/input-schema.ts'
import type { Call, KinesisService } from './operation.ts'
import { invalid, streamArn, toStreamArn, toStreamName } from './stream-address.ts'

export const consumerName = string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const consumerArn = string({
  min: 1,
  max: 2048,
  pattern:
    '^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+',
})

/** A consumer is named by its ARN, by its stream's ARN and its name, or by all of them. */
export const consumerMembers = {
  StreamARN: streamArn,
  ConsumerName: consumerName,
  ConsumerARN: consumerArn,
}

export type ConsumerAddress = {
  readonly StreamARN?: string | undefined
  readonly ConsumerName?: string | undefined
  readonly ConsumerARN?: string | undefined
}

/** A consumer that exists, and its stream's name. */
export type NamedConsumer = { readonly stream: string; readonly consumer: StreamConsumer }

/**
 * @throws `invalid-argument`/`InvalidArgumentException` when the address is not whole or disagrees
 *   with itself, `not-found`/`ResourceNotFoundException`
 */
export function findConsumer(address: ConsumerAddress, service: KinesisService): NamedConsumer {
  const { StreamARN, ConsumerName, ConsumerARN } = address
  if (ConsumerARN !== undefined) {
    const named = findConsumerByArn(ConsumerARN, service)
    const agrees =
      (ConsumerName === undefined || ConsumerName === named.consumer.name) &&
      (StreamARN === undefined || toStreamName({ StreamARN }, service) === named.stream)
    if (!agrees) throw invalid('ConsumerARN, StreamARN and ConsumerName must name one consumer.')
    return named
  }
  if (StreamARN === undefined || ConsumerName === undefined) {
    throw invalid('Either ConsumerARN or both StreamARN and ConsumerName must be specified.')
  }
  const stream = toStreamName({ StreamARN }, service)
  return { stream, consumer: service.dataStreams.consumers(stream).get(ConsumerName) }
}

/** A consumer registered again has another ARN: the old one names nobody. */
export function findConsumerByArn(arn: string, service: KinesisService): NamedConsumer {
  const [, stream, name, createdAt] = /:stream\/([^/]+)\/consumer\/([^/:]+):(\d+)$/.exec(arn) ?? []
  if (stream === undefined) throw invalid('Invalid ConsumerARN.')
  const streamArnOfIt = arn.slice(0, arn.indexOf('/consumer/'))
  const consumer = service.dataStreams
    .consumers(toStreamName({ StreamARN: streamArnOfIt }, service))
    .get(name!)
  if (Math.floor(consumer.createdAt / 1000) === Number(createdAt)) return { stream, consumer }
  throw new ServiceError('not-found', 'ResourceNotFoundException', `Consumer ${arn} not found.`)
}

export function toConsumerArn(
  { stream, consumer }: NamedConsumer,
  service: KinesisService,
): string {
  const createdAt = Math.floor(consumer.createdAt / 1000)
  return `${toStreamArn(stream, service)}/consumer/${consumer.name}:${createdAt}`
}

/** The members that every answer with a consumer has. A consumer is ACTIVE from the start. */
export function toConsumerMembers(named: NamedConsumer, { service, codec }: Call) {
  return {
    ConsumerName: named.consumer.name,
    ConsumerARN: toConsumerArn(named, service),
    ConsumerStatus: 'ACTIVE',
    ConsumerCreationTimestamp: codec.writeTimestamp(named.consumer.createdAt),
  }
}
