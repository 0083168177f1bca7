import { ServiceError } from '../domain/errors.ts'

/** A webhook as configured. */
export type HookConfig = {
  readonly name: string
  /** http or https; credentials in it are refused. */
  readonly url: string
  /** `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks 1.0.0, "Signature scheme"). */
  readonly secret: string
  /** While receivers change over: signatures are made with both. */
  readonly previousSecret?: string
  /** Absent or empty: any label, any stream. */
  readonly labels?: readonly string[]
  readonly streams?: readonly string[]
  readonly minScore?: number
  /** Per stream and label, by the frames' own time. */
  readonly cooldownMs?: number
  /** For the whole request. */
  readonly timeoutMs?: number
  /** Whether loopback, private and other non-public addresses may be called. */
  readonly allowPrivateAddresses?: boolean
}

/** A checked hook with its defaults filled in. */
export type Hook = {
  readonly name: string
  readonly url: URL
  readonly secrets: readonly string[]
  /** `null`: any. */
  readonly labels: ReadonlySet<string> | null
  readonly streams: ReadonlySet<string> | null
  readonly minScore: number
  readonly cooldownMs: number
  readonly timeoutMs: number
  readonly allowPrivateAddresses: boolean
}

/** @throws ServiceError `invalid-argument`/`InvalidHook`; never with the secret in its message */
export function parseHook(config: HookConfig): Hook {
  const refuse = (problem: string): never => {
    throw new ServiceError('invalid-argument', 'InvalidHook', `Hook ${config.name}: ${problem}.`)
  }
  if (!URL.canParse(config.url)) refuse('the URL cannot be parsed')
  const url = new URL(config.url)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse('the URL must be http or https')
  if (url.username !== '' || url.password !== '') refuse('the URL must not hold credentials')

  const secrets = [config.secret, ...(config.previousSecret ? [config.previousSecret] : [])]
  for (const secret of secrets) {
    const bytes = toSecretBytes(secret)
    if (bytes === null || bytes.length < 24 || bytes.length > 64) {
      refuse('a secret must be whsec_ and base64 of 24 to 64 bytes')
    }
  }
  return {
    name: config.name,
    url,
    secrets,
    labels: toFilter(config.labels),
    streams: toFilter(config.streams),
    minScore: config.minScore ?? 0,
    cooldownMs: config.cooldownMs ?? 10_000,
    timeoutMs: config.timeoutMs ?? 15_000,
    allowPrivateAddresses: config.allowPrivateAddresses ?? false,
  }
}

/** `*` among the values means any, as in the configuration of detection. */
function toFilter(values: readonly string[] | undefined): ReadonlySet<string> | null {
  if (values === undefined || values.length === 0 || values.includes('*')) return null
  return new Set(values)
}

function toSecretBytes(secret: string): Buffer | null {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1]
  return base64 === undefined || base64.length % 4 !== 0 ? null : Buffer.from(base64, 'base64')
}
