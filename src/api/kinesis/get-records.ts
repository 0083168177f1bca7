import { refuseDryRun } from './dry-run.ts'
import { boolean, integer, required, string, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { toChildShards } from './record-output.ts'
import { renderRecords } from './render-records.ts'
import { openIterator, sealIterator } from './shard-iterator.ts'
import { invalid, streamArn, toStreamName } from './stream-address.ts'

const MAX_RECORDS = 10_000
const MAX_BYTES = 10 * 1024 * 1024

/** GetRecords: the next records, and the iterator behind them. */
export const getRecords = defineOperation(
  'GetRecords',
  structure({
    ShardIterator: required(string({ min: 1, max: 512 })),
    Limit: integer({ min: 1, max: MAX_RECORDS }),
    StreamARN: streamArn,
    DryRun: boolean(),
  }),
  async (input, { service, codec }) => {
    const { dataStreams, sealer, clock, calls } = service
    const position = openIterator(sealer, input.ShardIterator, clock.now())
    const { StreamARN } = input
    if (StreamARN !== undefined && toStreamName({ StreamARN }, service) !== position.stream) {
      throw invalid('StreamARN and ShardIterator must name the same stream.')
    }
    const maxRecords = input.Limit ?? MAX_RECORDS
    if (input.DryRun === true) await dataStreams.read(position, { maxRecords: 0, maxBytes: 0 })
    refuseDryRun(input.DryRun)
    const call = { stream: position.stream, operation: 'GetRecords' } as const
    const read = await calls.measure(call, () =>
      dataStreams.poll(position, { maxRecords, maxBytes: MAX_BYTES }),
    )
    calls.read(call, read.records)
    const others = {
      MillisBehindLatest: read.millisBehindLatest,
      ...(read.next === null
        ? { ChildShards: toChildShards(position, dataStreams) }
        : { NextShardIterator: sealIterator(sealer, read.next, clock.now()) }),
    }
    return renderRecords(read.records, others, codec)
  },
)
