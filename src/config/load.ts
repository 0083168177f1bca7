import { readFileSync } from 'node:fs'
import { Value, type ValueError } from '@sinclair/typebox/value'
import { parse, YAMLParseError } from 'yaml'
import { ServiceError } from '../domain/errors.ts'
import { parseSourceUrl } from '../domain/source-url.ts'
import { toType } from './reference.ts'
import { configSchema, type Config } from './schema.ts'

/**
 * The configuration from, in rising order: the defaults, the YAML file, the environment
 * (`KINORA_SECTION__KEY`, or `KINORA_SECTION__KEY_FILE` for a value in a file).
 *
 * @param path `null` for no file
 * @throws ServiceError `invalid-argument`/`InvalidConfig` naming every setting that is wrong
 */
export function loadConfig(path: string | null, environment: NodeJS.ProcessEnv): Config {
  const fromFile = path === null ? {} : readYaml(path)
  const overridden = applyEnvironment(fromFile, environment)
  const config = Value.Default(configSchema, overridden) as Config
  const problems = [...describeErrors(config), ...(isValid(config) ? crossCheck(config) : [])]
  if (problems.length > 0) {
    throw invalidConfig(`The configuration is not valid:\n  ${problems.join('\n  ')}`)
  }
  return config
}

function readYaml(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw invalidConfig(`The configuration file ${path} cannot be read.`, error)
  }
  try {
    const value: unknown = parse(text) ?? {}
    if (!isRecord(value)) throw invalidConfig(`${path} must hold a mapping of settings.`)
    return value
  } catch (error) {
    // Only the first line: the others quote the file, which may hold secrets.
    if (error instanceof YAMLParseError) {
      throw invalidConfig(`${path}: ${error.message.split('\n')[0]}`)
    }
    throw error
  }
}

const PREFIX = 'KINORA_'
/** Read by the program itself, not settings. */
const RESERVED = new Set(['KINORA_CONFIG', 'KINORA_URL'])

function applyEnvironment(
  settings: Record<string, unknown>,
  environment: NodeJS.ProcessEnv,
): Record<string, unknown> {
  const result = structuredClone(settings)
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || RESERVED.has(variable) || value === undefined) continue
    const inFile = variable.endsWith('_FILE') && findSetting(variable) === null
    const path = findSetting(inFile ? variable.slice(0, -'_FILE'.length) : variable)
    if (path === null) throw invalidConfig(`The environment variable ${variable} names no setting.`)
    setAt(result, path, parseValue(variable, inFile ? readSecretFile(variable, value) : value))
  }
  return result
}

/** `KINORA_HTTP__TLS_KEY_FILE` -> `['http', 'tlsKeyFile']`. */
function findSetting(variable: string): readonly string[] | null {
  const path: string[] = []
  let schema: { properties?: Record<string, object> } = configSchema
  for (const part of variable.slice(PREFIX.length).split('__')) {
    const key = Object.keys(schema.properties ?? {}).find((name) => toConstantCase(name) === part)
    if (key === undefined) return null
    path.push(key)
    schema = schema.properties![key] as typeof schema
  }
  return path
}

function toConstantCase(name: string): string {
  return name.replace(/[A-Z]/g, '_$&').toUpperCase()
}

function readSecretFile(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch (error) {
    throw invalidConfig(`The file named by ${variable} cannot be read.`, error)
  }
}

/** Numbers, booleans and lists are written as in YAML; a text that is no valid YAML stays a text. */
function parseValue(variable: string, text: string): unknown {
  // Tokens may look like numbers; only text is right for them.
  if (/(TOKEN|SECRET|KEY|ACCOUNT_ID)(_FILE)?$/.test(variable) && !/^[[{]/.test(text)) return text
  try {
    return parse(text) as unknown
  } catch {
    return text
  }
}

function setAt(settings: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path
  if (rest.length === 0) {
    settings[key!] = value
    return
  }
  if (!isRecord(settings[key!])) settings[key!] = {}
  setAt(settings[key!] as Record<string, unknown>, rest, value)
}

function isValid(config: unknown): config is Config {
  return Value.Check(configSchema, config)
}

function describeErrors(config: unknown): string[] {
  const byPath = new Map<string, string>()
  for (const error of Value.Errors(configSchema, config)) {
    if (!byPath.has(error.path)) byPath.set(error.path, describeError(error))
  }
  return [...byPath.values()]
}

/** Names the setting and the rule, never the value: it may be a secret. */
function describeError(error: ValueError): string {
  const setting = error.path.slice(1).replaceAll('/', '.') || 'the file'
  return `${setting}: ${toRule(error)}`
}

function toRule({ message, schema }: ValueError): string {
  if (message === 'Unexpected property') return 'there is no such setting'
  // Of several allowed kinds none fits: which one was meant, only the meaning tells.
  if (message === 'Expected union value')
    return `must be ${toType(schema)}. ${schema.description ?? ''}`.trimEnd()
  return message
}

/** Rules between settings. */
function crossCheck(config: Config): string[] {
  const problems: string[] = []
  if (!isLoopback(config.http.host) && config.auth.adminToken === null) {
    problems.push(
      `http.host: ${config.http.host} is reachable from other machines; set auth.adminToken first`,
    )
  }
  if (!isLoopback(config.http.host) && config.auth.awsSignatures === 'off') {
    problems.push('auth.awsSignatures: off is for loopback only; set http.host to 127.0.0.1')
  }
  for (const [i, { sessionToken, expires }] of config.auth.accessKeys.entries()) {
    if (expires !== undefined && (sessionToken === undefined || Number.isNaN(Date.parse(expires))))
      problems.push(`auth.accessKeys.${i}.expires: must be a time, and needs a sessionToken`)
  }
  const { s3Endpoint, s3AccessKeyId, s3SecretAccessKey } = config.delivery
  if (s3Endpoint !== null && (s3AccessKeyId === null || s3SecretAccessKey === null)) {
    problems.push('delivery.s3Endpoint: needs delivery.s3AccessKeyId and s3SecretAccessKey')
  }
  if (config.publicUrl !== null && !URL.canParse(config.publicUrl)) {
    problems.push('publicUrl: is no URL')
  }
  for (const section of ['http', 'rtmp', 'rtsp'] as const) {
    const { tlsCertFile, tlsKeyFile } = config[section]
    if ((tlsCertFile === null) !== (tlsKeyFile === null)) {
      problems.push(`${section}.tlsCertFile and ${section}.tlsKeyFile: set both or none`)
    }
  }
  if (config.rtsp.udpLastPort <= config.rtsp.udpFirstPort) {
    problems.push('rtsp.udpLastPort: must be above rtsp.udpFirstPort')
  }
  if (config.archive.maxFragmentMs < config.archive.fragmentTargetMs) {
    problems.push('archive.maxFragmentMs: must not be below archive.fragmentTargetMs')
  }
  for (const list of ['streams', 'hooks'] as const) {
    const names = config[list].map(({ name }) => name)
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) problems.push(`${list}: the name ${twice} is given twice`)
  }
  return [...problems, ...checkSources(config.sources)]
}

function checkSources(sources: Config['sources']): string[] {
  const problems: string[] = []
  for (const [i, { stream, url, password, passwordFile }] of sources.entries()) {
    if (sources.findIndex((other) => other.stream === stream) !== i) {
      problems.push(`sources: the stream ${stream} is given twice`)
    }
    if (password !== undefined && passwordFile !== undefined) {
      problems.push(`sources.${i}: give password or passwordFile, not both`)
    }
    try {
      parseSourceUrl(url)
    } catch (error) {
      problems.push(`sources.${i}.${(error as ServiceError).message}`) // begins with the field
    }
  }
  return problems
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** What a client on this machine connects to for an address that was bound. */
export function toClientHost(boundHost: string): string {
  if (boundHost === '0.0.0.0' || boundHost === '::') return '127.0.0.1'
  return boundHost.includes(':') ? `[${boundHost}]` : boundHost
}

/** Where a client on this machine reaches the HTTP port, whatever port that came to be. */
export function toHttpUrl({ http }: Config, port = http.port): string {
  const scheme = http.tlsCertFile === null ? 'http' : 'https'
  return `${scheme}://${toClientHost(http.host)}:${port}`
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalidConfig(message: string, cause?: unknown): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidConfig', message, { cause })
}
