import { invalidSource, parseSourceUrl } from '../domain/source-url.ts'
import type { NewSource, SourceChange, SourceSettings } from './source-registry.ts'

/** A source's settings with defaults, checked. */
export type SourceTerms = SourceSettings & { readonly enabled: boolean }

/** @throws ServiceError `invalid-argument`/`InvalidSource` */
export function parseNewSource(source: Omit<NewSource, 'stream'>): SourceTerms {
  const { url, credentials } = parseSourceUrl(source.url)
  return checkTerms({
    url,
    credentials: mergeCredentials(credentials, source),
    transport: source.transport ?? 'auto',
    verifyCertificate: source.verifyCertificate ?? true,
    enabled: source.enabled ?? true,
    connectTimeoutMs: source.connectTimeoutMs ?? 5_000,
    stallTimeoutMs: source.stallTimeoutMs ?? 10_000,
  })
}

/** @throws ServiceError `invalid-argument`/`InvalidSource` */
export function parseSourceChange(current: SourceTerms, change: SourceChange): SourceTerms {
  const address = change.url === undefined ? null : parseSourceUrl(change.url)
  const url = address?.url ?? current.url
  const isElsewhere = originOf(url) !== originOf(current.url)
  const given = address?.credentials ?? null
  const kept = change.username === null ? null : (given ?? current.credentials)
  const isNew = given !== null || change.password !== undefined || change.username === null
  if (isElsewhere && current.credentials !== null && !isNew) {
    throw invalidSource('password', 'has to be given again for another scheme, host or port')
  }
  return checkTerms({
    url,
    credentials: mergeCredentials(kept, {
      ...(typeof change.username === 'string' ? { username: change.username } : {}),
      ...(change.password === undefined ? {} : { password: change.password }),
    }),
    transport: change.transport ?? current.transport,
    verifyCertificate: change.verifyCertificate ?? current.verifyCertificate,
    enabled: change.enabled ?? current.enabled,
    connectTimeoutMs: change.connectTimeoutMs ?? current.connectTimeoutMs,
    stallTimeoutMs: change.stallTimeoutMs ?? current.stallTimeoutMs,
  })
}

/** `URL.origin` is "null" for the schemes of cameras. */
function originOf({ protocol, host }: URL): string {
  return `${protocol}//${host}`
}

function mergeCredentials(
  base: SourceTerms['credentials'],
  { username, password }: { readonly username?: string; readonly password?: string },
): SourceTerms['credentials'] {
  if (base === null && username === undefined && password === undefined) return null
  return {
    username: username ?? base?.username ?? '',
    password: password ?? base?.password ?? '',
  }
}

function checkTerms(terms: SourceTerms): SourceTerms {
  for (const [field, text] of Object.entries(terms.credentials ?? {})) {
    if (text.length > MAX_CREDENTIAL_LENGTH) {
      throw invalidSource(field, `must not be longer than ${MAX_CREDENTIAL_LENGTH} characters`)
    }
    // They go into headers.
    if (/\p{Cc}/u.test(text)) throw invalidSource(field, 'must not hold control characters')
  }
  checkRange('connectTimeoutMs', terms.connectTimeoutMs, 500, 60_000)
  checkRange('stallTimeoutMs', terms.stallTimeoutMs, 1_000, 300_000)
  return terms
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw invalidSource(field, `must be a whole number of milliseconds from ${min} to ${max}`)
}

const MAX_CREDENTIAL_LENGTH = 256
