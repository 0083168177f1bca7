import { parseArgs } from 'node:util'
import {
  CONFIG_OPTION,
  callService,
  createPrinter,
  readArguments,
  readConfig,
  UsageError,
  type Command,
} from './command.ts'
import { toMs } from './stream-coverage.ts'

type HoldAnswer = {
  readonly id: string
  readonly stream: string | null
  readonly by: string
  readonly from: number
  readonly to: number
  readonly name: string
  readonly reason: string
  readonly until: number | null
}

/** `kinora hold`: ranges that retention and lack of space leave alone. */
export const holdCommand: Command = {
  name: 'hold',
  summary: 'keep ranges of media from expiring and from being evicted',
  help: `  kinora hold list
  kinora hold add STREAM --from TIME --to TIME --name NAME [--reason TEXT] [--until TIME] [--by CLOCK]
  kinora hold release ID

Options
  -c, --config FILE        configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --from, --to TIME    ISO 8601 or milliseconds since 1970
      --by CLOCK           producer (default) or server
      --until TIME         when the hold ends by itself (default: never)
      --json               print the service's answer as JSON

What is past its retention and still on the disk is seen again while it is held.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          from: { type: 'string' },
          to: { type: 'string' },
          by: { type: 'string' },
          name: { type: 'string' },
          reason: { type: 'string' },
          until: { type: 'string' },
          json: { type: 'boolean' },
        },
      }),
    )
    const [action, target, ...rest] = positionals
    if (rest.length > 0) throw new UsageError(`unexpected: ${rest.join(' ')}`)
    const config = readConfig(values.config)
    const show = createPrinter(values.json)
    if (action === 'list' && target === undefined) {
      const answer = await callService(config, 'GET', '/control/v1/holds')
      show(answer, () => toLines((answer as { holds: readonly HoldAnswer[] }).holds))
      return
    }
    if (action === 'release' && target !== undefined) {
      const answer = await callService(
        config,
        'DELETE',
        `/control/v1/holds/${encodeURIComponent(target)}`,
      )
      show(answer, () => `Released ${target}.`)
      return
    }
    if (action !== 'add' || target === undefined) throw new UsageError('give an action')
    const { from, to, name, by, reason, until } = values
    if (from === undefined || to === undefined || name === undefined) {
      throw new UsageError('a hold needs --from, --to and --name')
    }
    const answer = await callService(config, 'POST', '/control/v1/holds', {
      ...{ stream: target, from: toMs('--from', from), to: toMs('--to', to), name },
      ...(by === undefined ? {} : { by }),
      ...(reason === undefined ? {} : { reason }),
      ...(until === undefined ? {} : { until: toMs('--until', until) }),
    })
    show(answer, () => `Held: ${(answer as HoldAnswer).id}`)
  },
}

function toLines(holds: readonly HoldAnswer[]): string {
  if (holds.length === 0) return 'Nothing is held.'
  const toText = (ms: number) => new Date(ms).toISOString()
  return holds
    .map(({ id, stream, by, from, to, name, until }) => {
      const end = until === null ? '' : `  until ${toText(until)}`
      return `${id}  ${stream ?? '-'}  ${toText(from)}  ${toText(to)}  by ${by}  ${name}${end}`
    })
    .join('\n')
}
