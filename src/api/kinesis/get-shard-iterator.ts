import type { EpochMs } from '../../domain/time.ts'
import type { IteratorStart } from '../../datastream/index.ts'
import { refuseDryRun } from './dry-run.ts'
import { boolean, oneOf, required, string, structure, timestamp } from './input-schema.ts'
import { defineOperation } from './operation.ts'
import { sealIterator } from './shard-iterator.ts'
import { invalid, shardId, streamMembers, toStreamName } from './stream-address.ts'

const TYPES = [
  'AFTER_SEQUENCE_NUMBER',
  'LATEST',
  'AT_TIMESTAMP',
  'AT_SEQUENCE_NUMBER',
  'TRIM_HORIZON',
] as const

/** GetShardIterator: a sealed position, good for five minutes. */
export const getShardIterator = defineOperation(
  'GetShardIterator',
  structure({
    ...streamMembers,
    ShardId: required(shardId),
    ShardIteratorType: required(oneOf(TYPES)),
    StartingSequenceNumber: string({ pattern: '0|([1-9]\\d{0,128})' }),
    Timestamp: timestamp(),
    DryRun: boolean(),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const position = await service.dataStreams.seek(name, input.ShardId, toStart(input))
    refuseDryRun(input.DryRun)
    return { ShardIterator: sealIterator(service.sealer, position, service.clock.now()) }
  },
)

function toStart(input: {
  readonly ShardIteratorType: (typeof TYPES)[number]
  readonly StartingSequenceNumber?: string | undefined
  readonly Timestamp?: EpochMs | undefined
}): IteratorStart {
  const { ShardIteratorType: type, StartingSequenceNumber: sequenceNumber } = input
  switch (type) {
    case 'TRIM_HORIZON':
    case 'LATEST':
      return { type }
    case 'AT_TIMESTAMP':
      if (input.Timestamp !== undefined) return { type, timestamp: input.Timestamp }
      throw missing('timestampInMillis', type, 'timestamp')
    case 'AT_SEQUENCE_NUMBER':
    case 'AFTER_SEQUENCE_NUMBER':
      if (sequenceNumber !== undefined) return { type, sequenceNumber }
      throw missing('startingSequenceNumber', type, 'startingSequenceNumber')
  }
}

function missing(parameter: string, type: string, absent: string) {
  return invalid(
    `Must specify ${parameter} parameter for iterator of type ${type}. ` +
      `Current request has no ${absent} parameter.`,
  )
}
