import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  decryptRecordData,
  encryptRecordData,
  isEncryptedRecordData,
  type EnvelopeKey,
} from '../client/index.ts'
import {
  CONFIG_OPTION,
  createPrinter,
  readArguments,
  readConfig,
  UsageError,
  type Command,
} from './command.ts'
import { connectKinesis, type KinesisCall } from './kinesis-client.ts'
import { sendRecords, type RecordToSend } from './send-records.ts'
import { tailRecords } from './tail-records.ts'

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
      --encrypt FILE  put: encrypt each record's data here, with the key in FILE (64 hexadecimal digits)
      --decrypt FILE  tail: decrypt with it what was encrypted so
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
          encrypt: { type: 'string' },
          decrypt: { type: 'string' },
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
        const lines = texts.length > 0 ? texts : await linesOf(process.stdin)
        const how = { key: values.key, masterKey: readKeyFile(values.encrypt) }
        const count = await sendRecords(call, stream, toRecords(lines, how))
        show({ records: count }, () => `Put ${count} records.`)
        return
      }
      case 'tail':
        await tail(call, {
          ...{ stream, start: from, once: values.once, json: values.json === true },
          masterKey: readKeyFile(values.decrypt),
        })
        return
      case 'describe': {
        const description = await describe(call, stream)
        const { StreamDescriptionSummary } = await call<{ StreamDescriptionSummary: Summary }>(
          'DescribeStreamSummary',
          { StreamName: stream },
        )
        const { StoredBytes } = StreamDescriptionSummary
        const described = { ...description, StoredBytes }
        show(described, () => toText(described))
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

/** As it is needed: an input may be larger than memory with all its data in base64 beside it. */
function* toRecords(
  texts: readonly string[],
  { key, masterKey }: { readonly key: string | undefined; readonly masterKey: EnvelopeKey | null },
): Generator<RecordToSend> {
  for (const text of texts) {
    const plain = Buffer.from(text)
    const data = masterKey === null ? plain : encryptRecordData(plain, masterKey)
    yield { data, key: key ?? (text.slice(0, 256) || '-') }
  }
}

async function tail(
  call: KinesisCall,
  options: {
    readonly stream: string
    readonly start: 'oldest' | 'newest'
    readonly once: boolean
    readonly json: boolean
    readonly masterKey: EnvelopeKey | null
  },
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
        const data = decrypted(Buffer.from(record.Data, 'base64'), options.masterKey).toString()
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

/** What was not encrypted stays what it is. */
function decrypted(data: Buffer, masterKey: EnvelopeKey | null): Buffer {
  if (masterKey === null || !isEncryptedRecordData(data)) return data
  return decryptRecordData(data, (keyId) => (keyId === masterKey.keyId ? masterKey.key : null))
}

/** A key in a file goes by its fingerprint. */
function readKeyFile(file: string | undefined): EnvelopeKey | null {
  if (file === undefined) return null
  const text = readFileSync(file, 'utf8').trim()
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new UsageError(`${file} does not hold 64 hexadecimal digits`)
  }
  const key = Buffer.from(text, 'hex')
  return { keyId: hash('sha256', key).slice(0, 16), key }
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

/** With all of its shards, however many calls they take. */
async function describe(call: KinesisCall, stream: string): Promise<Description> {
  const shards: Description['Shards'][number][] = []
  for (;;) {
    const last = shards.at(-1)
    const { StreamDescription } = await call<{ StreamDescription: Description }>('DescribeStream', {
      StreamName: stream,
      ...(last !== undefined && { ExclusiveStartShardId: last.ShardId }),
    })
    shards.push(...StreamDescription.Shards)
    if (!StreamDescription.HasMoreShards) return { ...StreamDescription, Shards: shards }
  }
}

type Summary = { readonly StoredBytes: number }

function toText(stream: Description & Summary): string {
  const shards = stream.Shards.map((shard) => {
    const parents = [shard.ParentShardId, shard.AdjacentParentShardId].filter(
      (id) => id !== undefined,
    )
    const state = shard.SequenceNumberRange.EndingSequenceNumber === undefined ? 'open' : 'closed'
    return `  ${shard.ShardId}  ${state}${parents.length > 0 ? `  from ${parents.join(', ')}` : ''}`
  })
  return [
    `${stream.StreamName}  ${stream.StreamStatus}  ${stream.StreamModeDetails.StreamMode}`,
    `retention ${stream.RetentionPeriodHours} h, encryption ${stream.EncryptionType}, ` +
      `${(stream.StoredBytes / 2 ** 20).toFixed(1)} MiB stored`,
    ...shards,
  ].join('\n')
}
