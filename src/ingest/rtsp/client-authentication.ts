import { randomBytes } from 'node:crypto'
import type { DigestAlgorithm } from '../../registry/index.ts'
import {
  hashHex,
  parseAuthentication,
  toDigestResponse,
  type AuthenticationHeader,
} from './digest.ts'

/** Answers a camera's challenges, and goes on answering with the last one that it gave. */
export class ClientAuthentication {
  readonly #credentials: Credentials
  #challenge: Challenge | null = null
  #count = 0

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  /**
   * Takes a challenge, from a 401 or in mid-session.
   *
   * @param values of `WWW-Authenticate`
   * @returns whether it makes sense to ask again: not when the same nonce is offered once more, which
   *   says that the credentials are wrong
   */
  learn(values: readonly string[]): boolean {
    const challenge = chooseChallenge(parseAuthentication(values))
    if (challenge === null) return false
    const before = this.#challenge
    this.#challenge = challenge
    if (before === null) return true
    if (challenge.kind === 'basic') return before.kind !== 'basic'
    if (before.kind === 'basic' || challenge.isStale) return true
    this.#count = challenge.nonce === before.nonce ? this.#count : 0
    return challenge.nonce !== before.nonce
  }

  /** Value of `Authorization`; `null` while nothing has asked for it. */
  answer(method: string, uri: string): string | null {
    const challenge = this.#challenge
    const { username, password } = this.#credentials
    if (challenge === null) return null
    if (challenge.kind === 'basic') {
      return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    }
    const { algorithm, algorithmName, realm, nonce, opaque } = challenge
    const cnonce = randomBytes(8).toString('hex')
    const qop = challenge.hasQop ? { name: 'auth', nc: toCount(++this.#count), cnonce } : null
    const plainHa1 = hashHex(algorithm, `${username}:${realm}:${password}`)
    // RFC 7616 §3.4.2: the session variants hash the first one once more.
    const ha1 = /-sess$/i.test(algorithmName ?? '')
      ? hashHex(algorithm, `${plainHa1}:${nonce}:${cnonce}`)
      : plainHa1
    const response = toDigestResponse({ algorithm, ha1, method, uri, nonce, qop })
    return [
      `Digest username="${quote(username)}"`,
      `realm="${quote(realm)}"`,
      `nonce="${quote(nonce)}"`,
      `uri="${uri}"`,
      `response="${response}"`,
      // Not echoed unless it was given: old firmware knows no such parameter.
      ...(algorithmName === null ? [] : [`algorithm=${algorithmName}`]),
      ...(opaque === null ? [] : [`opaque="${quote(opaque)}"`]),
      ...(qop === null ? [] : [`qop=auth`, `nc=${qop.nc}`, `cnonce="${cnonce}"`]),
    ].join(', ')
  }
}

export type Credentials = { readonly username: string; readonly password: string }

type Challenge =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'digest'
      readonly algorithm: DigestAlgorithm
      /** As it was given. */
      readonly algorithmName: string | null
      readonly realm: string
      readonly nonce: string
      readonly opaque: string | null
      readonly hasQop: boolean
      readonly isStale: boolean
    }

/** The first Digest that we know (RFC 7616 §3.7: in the order of the server's preference), or Basic. */
function chooseChallenge(offered: readonly AuthenticationHeader[]): Challenge | null {
  for (const { scheme, parameters } of offered) {
    if (scheme !== 'digest') continue
    const algorithmName = parameters.get('algorithm') ?? null
    const algorithm = toAlgorithm(algorithmName ?? 'MD5')
    const nonce = parameters.get('nonce')
    const qops = parameters
      .get('qop')
      ?.toLowerCase()
      .split(/[\s,]+/)
    if (algorithm === null || nonce === undefined) continue
    if (qops !== undefined && !qops.includes('auth') && !qops.includes('')) continue
    return {
      kind: 'digest',
      algorithm,
      algorithmName,
      realm: parameters.get('realm') ?? '',
      nonce,
      opaque: parameters.get('opaque') ?? null,
      hasQop: qops?.includes('auth') ?? false,
      isStale: parameters.get('stale')?.toLowerCase() === 'true',
    }
  }
  return offered.some(({ scheme }) => scheme === 'basic') ? { kind: 'basic' } : null
}

function toAlgorithm(name: string): DigestAlgorithm | null {
  const plain = name.toUpperCase().replace(/-SESS$/, '')
  return plain === 'MD5' || plain === 'SHA-256' ? plain : null
}

/** RFC 7616 §3.4.5: eight hexadecimal digits. */
function toCount(count: number): string {
  return count.toString(16).padStart(8, '0')
}

function quote(text: string): string {
  return text.replace(/["\\]/g, '\\$&')
}
