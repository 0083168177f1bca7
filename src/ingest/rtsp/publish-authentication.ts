import { timingSafeEqual } from 'node:crypto'
import { DIGEST_REALM, type DigestAlgorithm, type StreamRegistry } from '../../registry/index.ts'
import type { Authorisation } from '../live-sessions.ts'
import {
  parseAuthentication,
  parseBasic,
  toDigestResponse,
  type AuthenticationHeader,
} from './digest.ts'
import type { OutgoingHeaders, RtspRequest } from './message.ts'
import { isAbout } from './stream-url.ts'

/**
 * Who may publish, by Digest, Basic or the key in the URL. The user name is the stream's name, the
 * password its publish key. One per connection, and so is the nonce: what was heard on another
 * connection proves nothing here.
 */
export class PublishAuthentication {
  readonly #registry: StreamRegistry
  readonly #nonce: string

  constructor(registry: StreamRegistry, nonce: string) {
    this.#registry = registry
    this.#nonce = nonce
  }

  /** For a 401. ffmpeg takes the last Digest of several and knows only MD5, so that one is last. */
  challenges(verdict: 'missing' | 'stale' | 'wrong'): OutgoingHeaders {
    const stale = verdict === 'stale' ? ', stale=true' : ''
    const digest = `Digest realm="${DIGEST_REALM}", nonce="${this.#nonce}"${stale}`
    return [
      ['WWW-Authenticate', `${digest}, algorithm=SHA-256`],
      ['WWW-Authenticate', digest],
      ['WWW-Authenticate', `Basic realm="${DIGEST_REALM}"`],
    ]
  }

  /** An `Authorization` decides; without it the key of the URL does. */
  judge(request: RtspRequest, about: { readonly stream: string; readonly key: string | null }) {
    const header = parseAuthentication(request.headers.get('authorization') ?? [])[0]
    if (header?.scheme === 'digest') return this.#judgeDigest(request.method, header, about.stream)
    if (header?.scheme === 'basic') return this.#judgeBasic(header, about.stream)
    if (header !== undefined) return WRONG
    return about.key === null ? MISSING : this.#judgeKey(about.stream, about.key)
  }

  #judgeKey(stream: string, key: string): Verdict {
    if (!this.#registry.acceptsPublishKey(stream, key)) return WRONG
    return { kind: 'accepted', authorisation: { kind: 'publish-key', key } }
  }

  #judgeBasic({ token }: AuthenticationHeader, stream: string): Verdict {
    const credentials = parseBasic(token)
    if (credentials?.username !== stream) return WRONG
    return this.#judgeKey(stream, credentials.password)
  }

  #judgeDigest(method: string, { parameters }: AuthenticationHeader, stream: string): Verdict {
    const value = (name: string) => parameters.get(name) ?? ''
    const response = value('response').toLowerCase()
    const algorithm = algorithmOf(value('algorithm'), response)
    if (algorithm === null) return WRONG
    const expected = toDigestResponse({
      algorithm,
      ha1: this.#registry.publishDigest(stream, algorithm),
      method,
      uri: value('uri'),
      nonce: value('nonce'),
      qop:
        value('qop') === ''
          ? null
          : { name: value('qop'), nc: value('nc'), cnonce: value('cnonce') },
    })
    const isKnowing =
      value('username') === stream &&
      value('realm') === DIGEST_REALM &&
      isAbout(value('uri'), stream) &&
      isSame(response, expected)
    if (!isKnowing) return WRONG
    if (value('nonce') !== this.#nonce) return STALE
    return { kind: 'accepted', authorisation: { kind: 'verified' } }
  }
}

export type Verdict =
  | { readonly kind: 'accepted'; readonly authorisation: Authorisation }
  /** `stale`: the key is right, the nonce is none of this connection's. */
  | { readonly kind: 'missing' | 'stale' | 'wrong' }

const MISSING: Verdict = { kind: 'missing' }
const STALE: Verdict = { kind: 'stale' }
const WRONG: Verdict = { kind: 'wrong' }

/** Clients that take the SHA-256 challenge and leave its name out still answer with 64 digits. */
function algorithmOf(name: string, response: string): DigestAlgorithm | null {
  switch (name.toUpperCase()) {
    case 'MD5':
      return 'MD5'
    case 'SHA-256':
      return 'SHA-256'
    case '':
      return response.length === 64 ? 'SHA-256' : 'MD5'
    default:
      return null
  }
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
