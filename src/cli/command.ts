import { parseArgs, type ParseArgsConfig } from 'node:util'
import { existsSync } from 'node:fs'
import { loadConfig, type Config } from '../config/index.ts'
import { ServiceError } from '../domain/errors.ts'

/** One command of the `kinora` program: its help and what it does. */
export type Command = {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Everything below the usage line of `kinora <name> --help`. */
  readonly help: string
  readonly run: (args: readonly string[]) => Promise<void>
}

/** Ends the program with exit code 2 and its message, without a stack trace. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** `util.parseArgs` whose failures are {@link UsageError}s. */
export function readArguments<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs({ strict: true, allowPositionals: true, ...config })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

export const CONFIG_OPTION = { config: { type: 'string', short: 'c' } } as const

const DEFAULT_FILE = 'kinora.yaml'

/** The file given by --config or KINORA_CONFIG, else ./kinora.yaml when it exists, else none. */
export function readConfig(path: string | undefined): Config {
  const named = path ?? process.env.KINORA_CONFIG
  return loadConfig(named ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : null), process.env)
}

/** Calls the control API of the running service that the configuration describes. */
export async function callService(
  config: Config,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const url = `${process.env.KINORA_URL ?? serviceUrl(config)}${path}`
  const { adminToken } = config.auth
  let response: Response
  try {
    response = await fetch(url, {
      method,
      headers: {
        ...(adminToken === null ? {} : { authorization: `Bearer ${adminToken}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (error) {
    throw new ServiceError(
      'unavailable',
      'ServiceUnreachable',
      `No service answers at ${new URL(url).origin}. Start it with: kinora serve`,
      { cause: error },
    )
  }
  const text = await response.text()
  const answer: unknown = text === '' ? null : JSON.parse(text)
  if (!response.ok) {
    const { code, message } = answer as { code?: string; message?: string }
    throw new ServiceError('conflict', code ?? 'Refused', message ?? `HTTP ${response.status}`)
  }
  return answer
}

function serviceUrl(config: Config): string {
  const scheme = config.http.tlsCertFile === null ? 'http' : 'https'
  return `${scheme}://${toReachableHost(config.http.host)}:${config.http.port}`
}

/** An address to connect to for an address that was bound. */
export function toReachableHost(boundHost: string): string {
  if (boundHost === '0.0.0.0' || boundHost === '::') return '127.0.0.1'
  return boundHost.includes(':') ? `[${boundHost}]` : boundHost
}
