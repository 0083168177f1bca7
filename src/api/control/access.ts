import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ServiceError } from '../../domain/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import { hostNameOf } from '../auth/index.ts'

/**
 * Who may use the control API, the console and playback. With an admin token: its bearer, a console
 * session made from it, or (playback only) an expiring token for one stream. Without one the port is
 * bound to loopback and open to this machine; the Host header is then checked, so that a web page
 * elsewhere cannot reach it through a name that resolves to 127.0.0.1.
 */
export interface Access {
  /** @throws ServiceError `unauthenticated`/`SignInRequired` or `permission-denied`/`WrongHost` */
  requireAdmin(request: FastifyRequest): void
  requirePlayback(request: FastifyRequest, streamName: string): void
  /** @returns the Set-Cookie value, or throws when the token is wrong */
  signIn(token: string): string
  playbackToken(streamName: string, seconds: number): string
  readonly open: boolean
}

export type AccessOptions = {
  readonly adminToken: string | null
  readonly sealingKey: Buffer
  /** Host names, without port, that the open mode answers to. */
  readonly openHosts: readonly string[]
  readonly secureCookies: boolean
  readonly clock: Clock
}

const COOKIE = 'kinora_session'
const SESSION_SECONDS = 7 * 24 * 3600

export function createAccess(options: AccessOptions): Access {
  const { adminToken, clock } = options

  const mac = (purpose: string, text: string) =>
    createHmac('sha256', options.sealingKey)
      // A changed admin token ends every session and playback token made under the old one.
      .update(`${purpose}\n${adminToken ?? ''}\n${text}`)
      .digest('base64url')

  const isFresh = (purpose: string, subject: string, token: string | undefined) => {
    const [expires, signature] = String(token ?? '').split('.') // given twice, it is an array
    if (!/^[0-9]{1,12}$/.test(expires ?? '') || signature === undefined) return false
    return (
      equalText(signature, mac(purpose, `${subject}\n${expires}`)) &&
      Number(expires) * 1000 > clock.now()
    )
  }
  const seal = (purpose: string, subject: string, seconds: number) => {
    const expires = String(Math.floor(clock.now() / 1000) + seconds)
    return `${expires}.${mac(purpose, `${subject}\n${expires}`)}`
  }

  const isAdmin = (request: FastifyRequest) => {
    if (adminToken === null) {
      if (!options.openHosts.includes(hostNameOf(request))) {
        throw new ServiceError(
          'permission-denied',
          'WrongHost',
          'Without an admin token the service answers only to its own address and publicUrl.',
        )
      }
      return true
    }
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (bearer !== undefined && equalText(bearer, adminToken)) return true
    return isFresh('session', '', readCookie(request.headers.cookie, COOKIE))
  }

  const signInRequired = () =>
    new ServiceError('unauthenticated', 'SignInRequired', 'Sign in with the admin token.')

  return {
    open: adminToken === null,
    requireAdmin(request) {
      if (!isAdmin(request)) throw signInRequired()
    },
    requirePlayback(request, streamName) {
      const { token } = request.query as { token?: string }
      // A token that does not hold is never made up for: its answers are open to other sites.
      const holds = token === undefined ? isAdmin(request) : isFresh('playback', streamName, token)
      if (!holds) throw signInRequired()
    },
    signIn(token) {
      if (adminToken === null || !equalText(token, adminToken)) {
        throw new ServiceError('unauthenticated', 'WrongToken', 'This is not the admin token.')
      }
      const secure = options.secureCookies ? '; Secure' : ''
      const value = seal('session', '', SESSION_SECONDS)
      return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_SECONDS}${secure}`
    },
    playbackToken: (streamName, seconds) => seal('playback', streamName, seconds),
  }
}

function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [key, value] = pair.trim().split('=', 2)
    if (key === name) return value
  }
  return undefined
}

/** Takes the same time wherever the texts differ. */
function equalText(a: string, b: string): boolean {
  const key = 'compare'
  const digest = (text: string) => createHmac('sha256', key).update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
