import { parseArgs } from 'node:util'
import { getMedia, type MediaStart, type ReceivedFragment } from '../client/index.ts'
import { ServiceError } from '../domain/errors.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'
import { toMs } from './stream-coverage.ts'
import { readVideoAccess, untilInterrupted, writeOut } from './video-client.ts'

/** `kinora get`: a stream's media as it comes. */
export const getCommand: Command = {
  name: 'get',
  summary: "follow a stream's media, from now or from any time on",
  help: `  kinora get STREAM [--from WHERE] [--after NUMBER] [--count N] [-o FILE]

Options
  -c, --config FILE    configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --from WHERE     now (default), earliest, or a time: ISO 8601 or milliseconds since 1970
      --by CLOCK       of the time: producer (default) or server
      --after NUMBER   begin behind this fragment
      --count N        end after so many fragments (default: never)
  -o, --output FILE    default: standard output
      --json           one JSON object per fragment instead of its media

Matroska as GetMedia delivers it: a document for each fragment, one behind the other.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          from: { type: 'string' },
          by: { type: 'string', default: 'producer' },
          after: { type: 'string' },
          count: { type: 'string' },
          output: { type: 'string', short: 'o' },
          json: { type: 'boolean', default: false },
        },
      }),
    )
    const [streamName, ...others] = positionals
    if (streamName === undefined || others.length > 0) throw new UsageError('give one stream')
    const start = readStart(values)
    const count = readCount(values.count)
    const service = await readVideoAccess(readConfig(values.config))
    await untilInterrupted(async (signal) => {
      const fragments = take(getMedia({ ...service, streamName, start, signal }), count)
      try {
        if (!values.json) await writeOut(bytesOf(fragments), values.output)
        else for await (const fragment of fragments) console.log(toJson(fragment))
      } catch (error) {
        // To be interrupted is how following a stream ends.
        if (!(error instanceof ServiceError && error.code === 'Interrupted')) throw error
      }
    })
  },
}

function readStart(values: {
  readonly from?: string | undefined
  readonly by: string
  readonly after?: string | undefined
}): MediaStart {
  const { from, by, after } = values
  if (by !== 'producer' && by !== 'server') throw new UsageError('--by: producer or server')
  if (after !== undefined) {
    if (from !== undefined) throw new UsageError('give --from or --after, not both')
    return { afterFragmentNumber: after }
  }
  if (from === undefined || from === 'now') return 'now'
  if (from === 'earliest') return 'earliest'
  const time = new Date(toMs('--from', from))
  return by === 'producer' ? { producerTimestamp: time } : { serverTimestamp: time }
}

function readCount(text: string | undefined): number {
  if (text === undefined) return Infinity
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text)
  throw new UsageError('--count: a number from 1 on')
}

async function* take<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let taken = 0
  for await (const item of items) {
    yield item
    taken += 1
    if (taken === count) return
  }
}

async function* bytesOf(fragments: AsyncIterable<ReceivedFragment>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of fragments) yield bytes
}

function toJson({ tracks, tags, bytes, ...fragment }: ReceivedFragment): string {
  return JSON.stringify({
    ...fragment,
    tags: Object.fromEntries(tags),
    tracks: tracks.map(({ kind, codecId }) => ({ kind, codecId })),
    sizeBytes: bytes.length,
  })
}
