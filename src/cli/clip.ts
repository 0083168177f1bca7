import { parseArgs } from 'node:util'
import { getClip } from '../client/index.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'
import { toMs } from './stream-coverage.ts'
import { readVideoAccess, untilInterrupted, writeOut } from './video-client.ts'

/** `kinora clip`: a range of a stream as an MP4 file. */
export const clipCommand: Command = {
  name: 'clip',
  summary: 'save a range of a stream as an MP4 file',
  help: `  kinora clip STREAM --from TIME --to TIME [-o FILE]

Options
  -c, --config FILE       configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --from, --to TIME   ISO 8601 or milliseconds since 1970; fragments that begin in between
      --by CLOCK          producer (default) or server
  -o, --output FILE       default: standard output`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          from: { type: 'string' },
          to: { type: 'string' },
          by: { type: 'string', default: 'producer' },
          output: { type: 'string', short: 'o' },
        },
      }),
    )
    const [streamName, ...others] = positionals
    if (streamName === undefined || others.length > 0) throw new UsageError('give one stream')
    if (values.from === undefined || values.to === undefined) {
      throw new UsageError('give --from TIME and --to TIME')
    }
    const { by } = values
    if (by !== 'producer' && by !== 'server') throw new UsageError('--by: producer or server')
    const range = {
      from: new Date(toMs('--from', values.from)),
      to: new Date(toMs('--to', values.to)),
    }
    const service = await readVideoAccess(readConfig(values.config))
    await untilInterrupted((signal) =>
      writeOut(getClip({ ...service, streamName, ...range, by, signal }), values.output),
    )
  },
}
