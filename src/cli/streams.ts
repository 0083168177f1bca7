import { parseArgs } from 'node:util'
import { systemClock } from '../platform/clock.ts'
import {
  CONFIG_OPTION,
  callService,
  createPrinter,
  readArguments,
  readConfig,
  UsageError,
  type Command,
} from './command.ts'
import { showCoverage, toCoverageQuery, toMs } from './stream-coverage.ts'
import { toTable } from './table.ts'

type StreamAnswer = {
  readonly name: string
  readonly state: string
  readonly retentionHours: number
  readonly archive: { readonly bytes: number; readonly oldest: number | null }
}

/** `kinora streams`: the video streams of the running service. */
export const streamsCommand: Command = {
  name: 'streams',
  summary: 'list, create, change and delete video streams of the running service',
  help: `  kinora streams list
  kinora streams create NAME [--retention-hours N] [--quota BYTES] [--publish-key KEY]
  kinora streams set NAME [--retention-hours N] [--quota BYTES] [--publish-key KEY]
  kinora streams delete NAME
  kinora streams delete-range NAME --from TIME --to TIME [--by CLOCK] [--held]
  kinora streams coverage NAME [--from TIME] [--to TIME] [--by CLOCK]

Options
  -c, --config FILE        configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --retention-hours N  1 to 87600, or 0: a live buffer of five minutes only
      --quota BYTES        such as 500MB or 2GB: the oldest media beyond it goes; none: no limit
      --publish-key KEY    8 to 128 characters; made up when absent
      --from, --to TIME    ISO 8601 or milliseconds since 1970 (default: the last 24 hours)
      --by CLOCK           producer (default) or server
      --held               delete what a hold keeps, too
      --json               print the service's answer as JSON

The publish key is shown once, when the stream is created.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          'retention-hours': { type: 'string' },
          'publish-key': { type: 'string' },
          quota: { type: 'string' },
          held: { type: 'boolean' },
          from: { type: 'string' },
          to: { type: 'string' },
          by: { type: 'string' },
          json: { type: 'boolean' },
        },
      }),
    )
    const [action, name, ...rest] = positionals
    const config = readConfig(values.config)
    const change = {
      ...(values['retention-hours'] === undefined
        ? {}
        : { retentionHours: toHours(values['retention-hours']) }),
      ...(values.quota === undefined ? {} : { quotaBytes: toBytes(values.quota) }),
      ...(values['publish-key'] === undefined ? {} : { publishKey: values['publish-key'] }),
    }
    const show = createPrinter(values.json)
    if (rest.length > 0) throw new UsageError(`unexpected: ${rest.join(' ')}`)

    if (action === 'list' && name === undefined) {
      const answer = await callService(config, 'GET', '/control/v1/streams')
      const { streams } = answer as { streams: readonly StreamAnswer[] }
      show(answer, () => listStreams(streams))
      return
    }
    if (name === undefined) throw new UsageError('give an action and a stream name')
    const path = `/control/v1/streams/${encodeURIComponent(name)}`
    switch (action) {
      case 'create': {
        const answer = await callService(config, 'POST', '/control/v1/streams', { name, ...change })
        const { publishKey, publishUrl } = answer as {
          publishKey: string
          publishUrl: string | null
        }
        show(
          answer,
          () => `Created ${name}. Publish key (shown once): ${publishKey}\n${publishUrl ?? ''}`,
        )
        return
      }
      case 'set': {
        const answer = await callService(config, 'PATCH', path, change)
        show(answer, () => `Changed ${name}.`)
        return
      }
      case 'delete': {
        const answer = await callService(config, 'DELETE', path)
        show(answer, () => `Deleted ${name} and its media.`)
        return
      }
      case 'delete-range': {
        const { from, to, by, held } = values
        if (from === undefined || to === undefined) throw new UsageError('give --from and --to')
        const answer = await callService(config, 'POST', `${path}/delete-range`, {
          ...{ from: toMs('--from', from), to: toMs('--to', to) },
          ...(by === undefined ? {} : { by }),
          ...(held === true ? { held: 'delete' } : {}),
        })
        const { deleted } = answer as { deleted: { fragments: number; bytes: number } }
        show(answer, () => `Deleted ${deleted.fragments} fragments, ${deleted.bytes} bytes.`)
        return
      }
      case 'coverage': {
        const query = toCoverageQuery(values, systemClock.now())
        const answer = await callService(config, 'GET', `${path}/coverage?${query}`)
        show(answer, () => showCoverage(answer))
        return
      }
      default:
        throw new UsageError(`no such action: ${action}`)
    }
  },
}

function toHours(text: string): number {
  if (!/^[0-9]+$/.test(text)) throw new UsageError(`--retention-hours: not a number: ${text}`)
  return Number(text)
}

const UNITS = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 } as const

function toBytes(text: string): number | null {
  if (text === 'none') return null
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kMGT]?)B?$/.exec(text) ?? []
  if (number === undefined) throw new UsageError(`--quota: not a size: ${text}`)
  return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS])
}

function listStreams(streams: readonly StreamAnswer[]): string {
  if (streams.length === 0) return 'No streams yet. Create one: kinora streams create NAME'
  return toTable([
    ['NAME', 'STATE', 'RETENTION', 'STORED', 'SINCE'],
    ...streams.map(({ name, state, retentionHours, archive }) => [
      name,
      state,
      `${retentionHours} h`,
      `${(archive.bytes / 1e6).toFixed(1)} MB`,
      archive.oldest === null ? '-' : new Date(archive.oldest).toISOString(),
    ]),
  ])
}
