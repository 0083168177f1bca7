import { refuseDryRun } from './dry-run.ts'
import { boolean, oneOf, required, structure, timestamp } from '../aws/input-schema.ts'
import { ITERATOR_TYPES, sequenceNumber, toStart } from './iterator-start.ts'
import { defineOperation } from './operation.ts'
import { sealIterator } from './shard-iterator.ts'
import { shardId, streamMembers, toStreamName } from './stream-address.ts'

/** GetShardIterator: a sealed position, good for five minutes. */
export const getShardIterator = defineOperation(
  'GetShardIterator',
  structure({
    ...streamMembers,
    ShardId: required(shardId),
    ShardIteratorType: required(oneOf(ITERATOR_TYPES)),
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestamp(),
    DryRun: boolean(),
  }),
  async (input, { service }) => {
    const name = toStreamName(input, service)
    const start = toStart({
      Type: input.ShardIteratorType,
      SequenceNumber: input.StartingSequenceNumber,
      Timestamp: input.Timestamp,
    })
    if (input.DryRun === true) await service.dataStreams.seek(name, input.ShardId, start)
    refuseDryRun(input.DryRun)
    const position = await service.dataStreams.seekToPoll(name, input.ShardId, start)
    return { ShardIterator: sealIterator(service.sealer, position, service.clock.now()) }
  },
)
