import { existsSync } from 'node:fs'
import { loadConfig, toHttpUrl, type Config } from '../config/index.ts'
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

/** Turns what `util.parseArgs` throws into a {@link UsageError}. */
export function readArguments<T>(parse: () => T): T {
  try {
    return parse()
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
  const url = `${process.env.KINORA_URL ?? toHttpUrl(config)}${path}`
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

/** Prints an answer of the service: as JSON when asked to, else as text for people. */
export function createPrinter(json: boolean | undefined) {
  return (answer: unknown, text: () => string): void =>
    console.log(json === true ? JSON.stringify(answer) : text())
}
