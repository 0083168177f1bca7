import { parseArgs } from 'node:util'
import { ServiceError } from '../domain/errors.ts'
import {
  CONFIG_OPTION,
  createPrinter,
  readArguments,
  readConfig,
  UsageError,
  type Command,
} from './command.ts'
import { connectKinesis, type KinesisCall } from './kinesis-client.ts'
import { tailRecords } from './tail-records.ts'

/** Of one PutRecords call. */
const MAX_RECORDS = 500

/** `kinora records`: data streams for people. */
export const recordsCommand: Command = {
  name: 'records',
  summary: 'put, follow and describe the records of data streams of the running service',
  help: `  kinora records put STREAM [TEXT...] [--key KEY]
  kinora records tail STREAM [--from oldest|newest] [--once]
  kinora records describe STREAM

Options
  -c, --config FILE   configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --key KEY       partition key (default: the text itself)
      --from WHERE    oldest or newest (default)
      --once          end at the newest record instead of waiting for more
      --json          one JSON object per line

Without TEXT, put sends each line of its input as a record. tail prints arrival, shard, key and data.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          key: { type: 'string' },
          from: { type: 'string', default: 'newest' },
          once: { type: 'boolean', default: false },
          json: { type: 'boolean' },
        },
      }),
    )
    const [action, stream, ...texts] = positionals
    if (stream === undefined) throw new UsageError('give an action and a stream name')
    const { from } = values
    if (from !== 'oldest' && from !== 'newest') throw new UsageError('--from: oldest or newest')
    const call = await connectKinesis(readConfig(values.config))
    const show = createPrinter(values.json)
    switch (action) {
      case 'put': {
        const records = texts.length > 0 ? texts : await linesOf(process.stdin)
        const count = await put(call, stream, { records, key: values.key })
        show({ records: count }, () => `Put ${count} records.`)
        return
      }
      case 'tail':
        await tail(call, { stream, start: from, once: values.once, json: values.json === true })
        return
      case 'describe': {
        const { StreamDescription } = await call<{ StreamDescription: Description }>(
          'DescribeStream',
          { StreamName: stream },
        )
        show(StreamDescription, () => toText(StreamDescription))
        return
      }
      default:
        throw new UsageError(`no such action: ${action}`)
    }
  },
}

async function linesOf(input: NodeJS.ReadableStream): Promise<readonly string[]> {
  const chunks: Buffer[] = []
  for await (const chunk of input) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
    .toString()
    .split('\n')
    .filter((line) => line !== '')
}

async function put(
  call: KinesisCall,
  stream: string,
  { records, key }: { readonly records: readonly string[]; readonly key: string | undefined },
): Promise<number> {
  for (let i = 0; i < records.length; i += MAX_RECORDS) {
    const answer = await call<{ FailedRecordCount: number }>('PutRecords', {
      StreamName: stream,
      Records: records.slice(i, i + MAX_RECORDS).map((text) => ({
        Data: Buffer.from(text).toString('base64'),
        PartitionKey: key ?? (text.slice(0, 256) || '-'),
      })),
    })
    if (answer.FailedRecordCount > 0) {
      throw new ServiceError(
        'unavailable',
        'LogWriteFailed',
        `${answer.FailedRecordCount} records were refused; ${i} before are stored.`,
      )
    }
  }
  return records.length
}

async function tail(
  call: KinesisCall,
  options: { stream: string; start: 'oldest' | 'newest'; once: boolean; json: boolean },
): Promise<void> {
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    await tailRecords(call, {
      ...{ stream: options.stream, start: options.start, signal: stopping.signal },
      until: options.once ? 'end' : 'stopped',
      show: (record, shardId) => {
        const data = Buffer.from(record.Data, 'base64').toString()
        const arrivedAt = new Date(record.ApproximateArrivalTimestamp * 1000).toISOString()
        const key = record.PartitionKey ?? '-'
        const { SequenceNumber: sequenceNumber } = record
        console.log(
          options.json
            ? JSON.stringify({ arrivedAt, shardId, sequenceNumber, key, data })
            : `${arrivedAt}  ${shardId}  ${key}  ${data}`,
        )
      },
    })
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

type Description = {
  readonly StreamName: string
  readonly StreamStatus: string
  readonly StreamModeDetails: { readonly StreamMode: string }
  readonly RetentionPeriodHours: number
  readonly EncryptionType: string
  readonly Shards: readonly {
    readonly ShardId: string
    readonly ParentShardId?: string
    readonly AdjacentParentShardId?: string
    readonly SequenceNumberRange: { readonly EndingSequenceNumber?: string }
  }[]
  readonly HasMoreShards: boolean
}

function toText(stream: Description): string {
  const shards = stream.Shards.map((shard) => {
    const parents = [shard.ParentShardId, shard.AdjacentParentShardId].filter(
      (id) => id !== undefined,
    )
    const state = shard.SequenceNumberRange.EndingSequenceNumber === undefined ? 'open' : 'closed'
    return `  ${shard.ShardId}  ${state}${parents.length > 0 ? `  from ${parents.join(', ')}` : ''}`
  })
  return [
    `${stream.StreamName}  ${stream.StreamStatus}  ${stream.StreamModeDetails.StreamMode}`,
    `retention ${stream.RetentionPeriodHours} h, encryption ${stream.EncryptionType}`,
    ...shards,
    ...(stream.HasMoreShards ? ['  …'] : []),
  ].join('\n')
}
