import { createHash } from 'node:crypto'
import type { DigestAlgorithm } from '../../registry/index.ts'

/**
 * Scheme and parameters of a challenge or of credentials, in Digest (RFC 7616, RFC 2617, RFC 2069) and
 * Basic (RFC 7617); scheme and names in lower case.
 */
export type AuthenticationHeader = {
  readonly scheme: string
  readonly parameters: ReadonlyMap<string, string>
  /** What Basic has in place of parameters. */
  readonly token: string
}

const MAX_HEADERS = 16
const MAX_PARAMETERS = 32

/**
 * Reads `WWW-Authenticate` and `Authorization`. One value may hold several challenges, and commas
 * separate both them and their parameters (RFC 9110 §11.6.1): a word that is followed by a space and
 * not by `=` begins the next.
 */
export function parseAuthentication(values: readonly string[]): readonly AuthenticationHeader[] {
  return values.slice(0, MAX_HEADERS).flatMap(parseChallenges)
}

function parseChallenges(value: string): readonly AuthenticationHeader[] {
  const found: { scheme: string; token: string; parameters: Map<string, string> }[] = []
  // Sticky and without nested repetition: linear in the length.
  const part =
    /[\s,]*(?:([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([A-Za-z0-9_-]+)(?:\s+([A-Za-z0-9+/._~-]+=*)(?=\s*(?:,|$)))?)/y
  for (let match = part.exec(value); match !== null; match = part.exec(value)) {
    const [, name, quoted, bare, scheme, token] = match
    if (scheme !== undefined) {
      if (found.length === MAX_HEADERS) break
      found.push({ scheme: scheme.toLowerCase(), token: token ?? '', parameters: new Map() })
    } else {
      const parameters = found.at(-1)?.parameters
      if (parameters === undefined || parameters.size === MAX_PARAMETERS) break
      const text = quoted === undefined ? bare! : quoted.replace(/\\(.)/g, '$1')
      if (!parameters.has(name!.toLowerCase())) parameters.set(name!.toLowerCase(), text)
    }
  }
  return found
}

export type DigestInput = {
  readonly algorithm: DigestAlgorithm
  /** H(A1): of `user:realm:password`, in hex. */
  readonly ha1: string
  readonly method: string
  readonly uri: string
  readonly nonce: string
  /** `null`: as before RFC 2617. */
  readonly qop: { readonly name: string; readonly nc: string; readonly cnonce: string } | null
}

/** RFC 7616 §3.4.1, in lower-case hex. */
export function toDigestResponse(input: DigestInput): string {
  const { algorithm, ha1, method, uri, nonce, qop } = input
  const ha2 = hashHex(algorithm, `${method}:${uri}`)
  const middle = qop === null ? '' : `${qop.nc}:${qop.cnonce}:${qop.name}:`
  return hashHex(algorithm, `${ha1}:${nonce}:${middle}${ha2}`)
}

export function hashHex(algorithm: DigestAlgorithm, text: string): string {
  return createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
    .update(text)
    .digest('hex')
}

/** `user:password` of a Basic token; `null` when it is none. */
export function parseBasic(
  token: string,
): { readonly username: string; readonly password: string } | null {
  const text = Buffer.from(token, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
