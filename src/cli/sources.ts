import { readFileSync } from 'node:fs'
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
import { printSourceTrial } from './source-trial.ts'
import { toTable } from './table.ts'

/** `kinora sources`: the cameras that the running service calls for their media. */
export const sourcesCommand: Command = {
  name: 'sources',
  summary: 'list, add, update, remove and test cameras that the service pulls',
  help: `  kinora sources list
  kinora sources add STREAM URL [--create-stream] [OPTIONS]
  kinora sources update STREAM [URL] [--enable | --disable] [OPTIONS]
  kinora sources remove STREAM
  kinora sources test URL [--seconds N] [OPTIONS]

URL: rtsp, rtsps, rtmp, rtmps, http or https (HTTP-FLV). user:password@ in it works; other users of
this machine may see it in the list of processes, so rather give --password-file.

Options
  -c, --config FILE           configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --create-stream         make the stream when there is none of this name
      --username NAME         none: without credentials
      --password-file FILE    file that holds the password; -: standard input
      --transport T           of RTSP: auto (default: TCP, then UDP), tcp or udp
      --certificate C         verify (default) or any: a self-signed one will do
      --connect-timeout-ms N  500 to 60000 (default: 5000)
      --stall-timeout-ms N    1000 to 300000 (default: 10000)
      --seconds N             how long test watches what comes (default: 10)
      --json                  print the answer as JSON

test calls the camera from this machine, once, and stores nothing; it needs no running service.`,
  run: async (args) => {
    process.title = 'kinora sources' // a URL among the arguments may hold a password
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...CONFIG_OPTION,
          'create-stream': { type: 'boolean' },
          enable: { type: 'boolean' },
          disable: { type: 'boolean' },
          username: { type: 'string' },
          'password-file': { type: 'string' },
          transport: { type: 'string' },
          certificate: { type: 'string' },
          'connect-timeout-ms': { type: 'string' },
          'stall-timeout-ms': { type: 'string' },
          seconds: { type: 'string' },
          json: { type: 'boolean' },
        },
      }),
    )
    const [action, target, url, ...rest] = positionals
    if (rest.length > 0) throw new UsageError('too many arguments')
    const settings = toSettings(values)
    const show = createPrinter(values.json)
    if (action === 'test' && target !== undefined && url === undefined) {
      const { username, enabled: _, ...others } = settings
      const source = { ...others, ...(username == null ? {} : { username }), url: target }
      const seconds = toWhole('--seconds', values.seconds ?? '10')
      process.exitCode = await printSourceTrial(source, seconds, show)
      return
    }
    const config = readConfig(values.config)
    if (action === 'list' && target === undefined) {
      const answer = await callService(config, 'GET', '/control/v1/sources')
      show(answer, () => listSources((answer as { sources: readonly SourceAnswer[] }).sources))
      return
    }
    if (target === undefined) throw new UsageError('give an action and a stream')
    const path = `/control/v1/sources/${encodeURIComponent(target)}`
    switch (action) {
      case 'add': {
        if (url === undefined) throw new UsageError('give the URL')
        const createStream = values['create-stream'] ?? false
        const body = { stream: target, url, createStream, ...settings }
        const answer = await callService(config, 'POST', '/control/v1/sources', body)
        show(answer, () => `Added: ${describe(answer as SourceAnswer)}`)
        return
      }
      case 'update': {
        const body = { ...(url === undefined ? {} : { url }), ...settings }
        const answer = await callService(config, 'PATCH', path, body)
        show(answer, () => `Changed: ${describe(answer as SourceAnswer)}`)
        return
      }
      case 'remove': {
        const answer = await callService(config, 'DELETE', path)
        show(answer, () => `Removed the source of ${target}. The stream and its media stay.`)
        return
      }
      default:
        throw new UsageError(`no such action: ${action}`)
    }
  },
}

type SourceAnswer = {
  readonly stream: string
  readonly url: string
  readonly state: string
  readonly nextAttemptAt: string | null
  readonly lastFailure: { readonly reason: string; readonly message: string } | null
}

type Values = { readonly [name: string]: string | boolean | undefined }

function toSettings(values: Values) {
  const { username, transport, certificate, enable, disable } = values
  const passwordFile = values['password-file']
  const connectTimeout = values['connect-timeout-ms']
  const stallTimeout = values['stall-timeout-ms']
  if (enable === true && disable === true) throw new UsageError('--enable or --disable, not both')
  if (certificate !== undefined && certificate !== 'verify' && certificate !== 'any') {
    throw new UsageError('--certificate: verify or any')
  }
  if (transport !== undefined && !isTransport(transport)) {
    throw new UsageError('--transport: auto, tcp or udp')
  }
  return {
    ...(typeof username === 'string' ? { username: username === 'none' ? null : username } : {}),
    ...(typeof passwordFile === 'string' ? { password: readPassword(passwordFile) } : {}),
    ...(transport === undefined ? {} : { transport }),
    ...(certificate === undefined ? {} : { verifyCertificate: certificate === 'verify' }),
    ...(enable === true ? { enabled: true } : {}),
    ...(disable === true ? { enabled: false } : {}),
    ...(typeof connectTimeout === 'string'
      ? { connectTimeoutMs: toWhole('--connect-timeout-ms', connectTimeout) }
      : {}),
    ...(typeof stallTimeout === 'string'
      ? { stallTimeoutMs: toWhole('--stall-timeout-ms', stallTimeout) }
      : {}),
  }
}

function isTransport(text: string | boolean): text is 'auto' | 'tcp' | 'udp' {
  return text === 'auto' || text === 'tcp' || text === 'udp'
}

function readPassword(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').trimEnd()
  } catch {
    throw new UsageError(`--password-file: ${path} cannot be read`)
  }
}

function toWhole(option: string, text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new UsageError(`${option}: not a whole number`)
  return Number(text)
}

function describe({ stream, url, state }: SourceAnswer): string {
  return `${stream} from ${url}, ${state}`
}

function listSources(sources: readonly SourceAnswer[]): string {
  if (sources.length === 0) return 'No sources yet. Add one: kinora sources add STREAM URL'
  return toTable([
    ['STREAM', 'STATE', 'URL', 'NEXT ATTEMPT', 'LAST FAILURE'],
    ...sources.map(({ stream, state, url, nextAttemptAt, lastFailure }) => [
      ...[stream, state, url, nextAttemptAt ?? '-'],
      lastFailure === null ? '-' : `${lastFailure.reason}: ${lastFailure.message}`,
    ]),
  ])
}
