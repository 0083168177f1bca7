import { access } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { putMedia, type FragmentAcknowledgement } from '../client/index.ts'
import { ServiceError } from '../domain/errors.ts'
import { remuxToMatroska } from '../platform/av.ts'
import { systemClock } from '../platform/clock.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'
import { toMs } from './stream-coverage.ts'
import { readVideoAccess, untilInterrupted } from './video-client.ts'

/** `kinora put`: a file into a stream. */
export const putCommand: Command = {
  name: 'put',
  summary: 'send a media file to a stream of the running service',
  help: `  kinora put FILE --stream NAME [--realtime] [--start-time TIME]

Options
  -c, --config FILE        configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --stream NAME        the stream; it has to be there
      --realtime           send as fast as it plays; else as fast as it is taken
      --start-time TIME    of the file's first sample, ISO 8601 or milliseconds since 1970 (default: now)
      --json               one JSON object per acknowledgement

FILE may be of any container that FFmpeg reads; samples are sent as they are, in Matroska. - sends the
Matroska that comes in on standard input. Resolves when all fragments are kept.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          stream: { type: 'string' },
          realtime: { type: 'boolean', default: false },
          'start-time': { type: 'string' },
          json: { type: 'boolean', default: false },
        },
      }),
    )
    const [file, ...others] = positionals
    if (file === undefined || others.length > 0) throw new UsageError('give one file')
    if (values.stream === undefined) throw new UsageError('give --stream NAME')
    const start = values['start-time']
    const from = new Date(start === undefined ? Date.now() : toMs('--start-time', start))
    const service = await readVideoAccess(readConfig(values.config))
    const streamName = values.stream
    await untilInterrupted(async (signal) => {
      const media =
        file === '-' ? process.stdin : await openFile(file, { realtime: values.realtime, signal })
      const call = putMedia({ ...service, streamName, media, timecodes: { from }, signal })
      const persisted = await follow(call, values.json)
      if (!values.json) console.log(`Put ${persisted} fragments to ${streamName}.`)
    })
  },
}

async function openFile(
  path: string,
  { realtime, signal }: { readonly realtime: boolean; readonly signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  await access(path).catch((error: NodeJS.ErrnoException) => {
    throw new ServiceError('not-found', 'CannotRead', `Cannot read ${path}: ${error.code}.`)
  })
  const startedAt = systemClock.monotonicMs()
  const pace = async (seconds: number) => {
    const waitMs = startedAt + seconds * 1000 - systemClock.monotonicMs()
    if (waitMs > 1) await systemClock.sleep(waitMs, signal)
  }
  return remuxToMatroska({ path, ...(realtime && { pace }) })
}

/**
 * @returns how many fragments are kept
 * @throws ServiceError with the code of an ERROR acknowledgement
 */
async function follow(
  call: AsyncIterable<FragmentAcknowledgement>,
  json: boolean,
): Promise<number> {
  let kept = 0
  let last: 'RECEIVED' | 'PERSISTED' = 'RECEIVED'
  for await (const ack of call) {
    if (json) console.log(JSON.stringify(ack))
    // A stream with a retention of 0 stops at RECEIVED.
    if (ack.type === 'PERSISTED' && last === 'RECEIVED') [last, kept] = ['PERSISTED', 0]
    if (ack.type === last) kept += 1
    if (ack.error === null) continue
    const { code, id } = ack.error
    throw new ServiceError(
      'malformed-media',
      code,
      `The service refused the media: ${code} (${id}).`,
    )
  }
  return kept
}
