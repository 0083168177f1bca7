import { createHash } from 'node:crypto'

/** The parts of a request that a signature covers, as they came over the wire. */
export type SignedRequest = {
  readonly method: string
  /** Path and query exactly as sent. */
  readonly target: string
  /** Lower-case names. HTTP/2's `:authority` counts as `host`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export type QueryParameter = { readonly name: string; readonly value: string }

export function splitTarget(target: string): { path: string; query: readonly QueryParameter[] } {
  const at = target.indexOf('?')
  if (at < 0) return { path: target, query: [] }
  const query = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] =
        equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return { name: percentDecode(name), value: percentDecode(value) }
    })
  return { path: target.slice(0, at), query }
}

/**
 * The canonical request of AWS Signature Version 4, as the service must build it ("Create a
 * canonical request", AWS General Reference).
 *
 * @param signedHeaders lower-case names as the client listed them
 * @param payloadHash lower-case hex SHA-256 of the body, or the literal that stands for it
 * @param paths `as-sent` is S3's way
 */
export function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  payloadHash: string,
  paths: 'normalised' | 'as-sent' = 'normalised',
): string {
  const { path, query } = splitTarget(request.target)
  return [
    request.method,
    paths === 'as-sent' ? path : canonicalPath(path),
    canonicalQuery(query),
    ...signedHeaders.map((name) => `${name}:${canonicalHeader(request, name)}`),
    '',
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n')
}

/** Normalised, and encoded once more than it was sent: every service but S3 does both. */
function canonicalPath(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  const trailing = segments.length > 0 && path.endsWith('/') ? '/' : ''
  return `/${segments.map(percentEncode).join('/')}${trailing}`
}

function canonicalQuery(query: readonly QueryParameter[]): string {
  return query
    .filter(({ name }) => name !== 'X-Amz-Signature')
    .map(({ name, value }) => ({ name: percentEncode(name), value: percentEncode(value) }))
    .sort((a, b) => compareText(a.name, b.name) || compareText(a.value, b.value))
    .map(({ name, value }) => `${name}=${value}`)
    .join('&')
}

export function headerOf(request: Pick<SignedRequest, 'headers'>, name: string): string | null {
  const value =
    request.headers[name] ?? (name === 'host' ? request.headers[':authority'] : undefined)
  if (value === undefined) return null
  return typeof value === 'string' ? value : value.join(',')
}

function canonicalHeader(request: SignedRequest, name: string): string {
  return (headerOf(request, name) ?? '').trim().replace(/ +/g, ' ')
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** RFC 3986 §2.3: everything but unreserved characters is encoded. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** What is not valid percent-encoding stands for itself: its signature will not match, no more. */
function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
