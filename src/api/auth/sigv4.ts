import { createHmac, timingSafeEqual } from 'node:crypto'
import { ServiceError } from '../../domain/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { AccessKeys } from './access-keys.ts'
import {
  canonicalRequest,
  headerOf,
  sha256Hex,
  splitTarget,
  type SignedRequest,
} from './canonical-request.ts'

/** Who made a request. */
export type Caller = { readonly accessKeyId: string }

/** What the signature must say about the body. */
export type SignedPayload =
  | { readonly kind: 'whole'; readonly body: Uint8Array }
  /**
   * The body is not read before the caller is known (PutMedia): signed is the hash of nothing,
   * `UNSIGNED-PAYLOAD`, or whatever hash `x-amz-content-sha256` names.
   */
  | { readonly kind: 'streamed' }

export type SignatureVerifier = {
  /** @throws `unauthenticated` with the service's exception name as code */
  verify(request: SignedRequest, payload: SignedPayload): Caller
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
const MAX_SKEW_MS = 15 * 60_000
/** Of a presigned URL: seven days. */
const MAX_EXPIRES_SECONDS = 604_800
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
const EMPTY_HASH = sha256Hex('')
/** A key and its day give the same signing key for every request. */
const CACHED_SIGNING_KEYS = 256

/**
 * Checks AWS Signature Version 4, in the `Authorization` header or in the query (presigned).
 *
 * Any region is taken: one endpoint serves clients configured for any. What the signature must
 * cover, besides method, target and body: `host` (the SDKs sign it as `:authority` over HTTP/2) and every `x-amz-*` header but the session token
 * (the C producer leaves that one out).
 */
export function createSignatureVerifier(options: {
  readonly service: string
  readonly accessKeys: AccessKeys
  readonly clock: Clock
}): SignatureVerifier {
  const { service, accessKeys, clock } = options
  const signingKeys = new Map<string, { secret: string; signingKey: Buffer }>()

  function signingKeyOf({ accessKeyId, scope }: Claim, secret: string): Buffer {
    const name = `${accessKeyId}/${scope}`
    const known = signingKeys.get(name)
    if (known?.secret === secret) return known.signingKey
    const signingKey = scope
      .split('/')
      .reduce(
        (previous, part) => createHmac('sha256', previous).update(part).digest(),
        Buffer.from(`AWS4${secret}`),
      )
    if (signingKeys.size >= CACHED_SIGNING_KEYS) signingKeys.clear()
    signingKeys.set(name, { secret, signingKey })
    return signingKey
  }

  return {
    verify(request, payload) {
      const claim = readClaim(request)
      refuseOutsideItsTime(claim, clock.now())
      refuseForeignScope(claim, service)
      refuseUncovered(request, claim)
      const secret = accessKeys(claim.accessKeyId)
      if (secret === null) {
        throw refused(
          'UnrecognizedClientException',
          'The security token included in the request is invalid.',
        )
      }
      const hash = payloadHash(request, payload)
      const canonical = canonicalRequest(request, claim.signedHeaders, hash)
      const toSign = [ALGORITHM, claim.date, claim.scope, sha256Hex(canonical)].join('\n')
      const expected = createHmac('sha256', signingKeyOf(claim, secret)).update(toSign).digest()
      const given = Buffer.from(claim.signature, 'hex')
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw mismatch()
      return { accessKeyId: claim.accessKeyId }
    },
  }
}

/** What a request says about its own signature. */
type Claim = {
  readonly accessKeyId: string
  /** `<yyyymmdd>/<region>/<service>/aws4_request` */
  readonly scope: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** `yyyymmddThhmmssZ` */
  readonly date: string
  /** Of a presigned request. */
  readonly expiresSeconds: number | null
}

function readClaim(request: SignedRequest): Claim {
  const authorization = headerOf(request, 'authorization')
  const query = new Map(splitTarget(request.target).query.map(({ name, value }) => [name, value]))
  const presigned = [...query.keys()].some((name) => PRESIGNED_PARTS.includes(name))
  if (authorization !== null && presigned) {
    throw refused(
      'InvalidSignatureException',
      "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )
  }
  if (authorization !== null) return readAuthorization(request, authorization)
  if (presigned) return readPresigned(query)
  throw refused('MissingAuthenticationTokenException', 'Missing Authentication Token')
}

function readAuthorization(request: SignedRequest, authorization: string): Claim {
  const [scheme, rest] = splitOnce(authorization.trim(), ' ')
  const parts = new Map(
    scheme === ALGORITHM ? rest.split(',').map((part) => splitOnce(part.trim(), '=')) : [],
  )
  const date = headerOf(request, 'x-amz-date') ?? toBasicDate(headerOf(request, 'date'))
  const missing = AUTHORIZATION_PARTS.filter((name) => (parts.get(name) ?? '') === '').map(
    (name) => `Authorization header requires '${name}' parameter.`,
  )
  if (date === null) {
    missing.push(
      "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    )
  }
  if (missing.length > 0 || date === null) {
    throw refused('IncompleteSignatureException', `${missing.join(' ')} Authorization=${scheme}`)
  }
  return toClaim({
    credential: parts.get('Credential')!,
    signedHeaders: parts.get('SignedHeaders')!,
    signature: parts.get('Signature')!,
    date,
    expires: null,
  })
}

const AUTHORIZATION_PARTS = ['Credential', 'Signature', 'SignedHeaders']
const PRESIGNED_PARTS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
  'X-Amz-Date',
  'X-Amz-Expires',
]

function readPresigned(query: ReadonlyMap<string, string>): Claim {
  const missing = PRESIGNED_PARTS.filter((name) => (query.get(name) ?? '') === '').map(
    (name) => `AWS query-string parameters must include '${name}'.`,
  )
  if (missing.length > 0) {
    const reminder = 'Re-examine the query-string parameters.'
    throw refused('IncompleteSignatureException', [...missing, reminder].join(' '))
  }
  if (query.get('X-Amz-Algorithm') !== ALGORITHM) {
    throw refused('IncompleteSignatureException', `Unsupported AWS 'algorithm': use ${ALGORITHM}.`)
  }
  return toClaim({
    credential: query.get('X-Amz-Credential')!,
    signedHeaders: query.get('X-Amz-SignedHeaders')!,
    signature: query.get('X-Amz-Signature')!,
    date: query.get('X-Amz-Date')!,
    expires: query.get('X-Amz-Expires')!,
  })
}

function toClaim(parts: {
  credential: string
  signedHeaders: string
  signature: string
  date: string
  expires: string | null
}): Claim {
  const [accessKeyId = '', ...scope] = parts.credential.split('/')
  const expiresSeconds = parts.expires === null ? null : Number(parts.expires)
  if (accessKeyId === '' || scope.length !== 4) {
    throw refused(
      'IncompleteSignatureException',
      'Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.',
    )
  }
  if (!/^\d{8}T\d{6}Z$/.test(parts.date)) {
    throw refused('IncompleteSignatureException', "Date must be in ISO-8601 'basic format'.")
  }
  if (expiresSeconds !== null && !/^\d{1,6}$/.test(parts.expires!)) {
    throw refused('IncompleteSignatureException', "'X-Amz-Expires' must be a number of seconds.")
  }
  return {
    accessKeyId,
    scope: scope.join('/'),
    signedHeaders: parts.signedHeaders.split(';').map((name) => name.toLowerCase()),
    signature: /^[0-9a-f]{64}$/.test(parts.signature) ? parts.signature : '',
    date: parts.date,
    expiresSeconds,
  }
}

function refuseOutsideItsTime(claim: Claim, now: number): void {
  const signedAt = parseBasicDate(claim.date)
  const { expiresSeconds } = claim
  if (expiresSeconds !== null && expiresSeconds > MAX_EXPIRES_SECONDS) {
    throw refused('InvalidSignatureException', "'X-Amz-Expires' must be at most a week.")
  }
  const validMs = expiresSeconds === null ? MAX_SKEW_MS : expiresSeconds * 1000
  if (Number.isNaN(signedAt) || now > signedAt + validMs) {
    const oldest = toBasicDate(new Date(now - validMs).toISOString())
    throw refused(
      'InvalidSignatureException',
      `Signature expired: ${claim.date} is now earlier than ${oldest} (${toBasicDate(new Date(now).toISOString())} - ${validMs / 60_000} min.)`,
    )
  }
  if (signedAt > now + MAX_SKEW_MS) {
    const latest = toBasicDate(new Date(now + MAX_SKEW_MS).toISOString())
    throw refused(
      'InvalidSignatureException',
      `Signature not yet current: ${claim.date} is still later than ${latest} (${toBasicDate(new Date(now).toISOString())} + 15 min.)`,
    )
  }
}

function refuseForeignScope(claim: Claim, service: string): void {
  const [date, region, scopeService, terminator] = claim.scope.split('/')
  const wrong: string[] = []
  if (date !== claim.date.slice(0, 8)) {
    wrong.push(`Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.`)
  }
  if (region === '') wrong.push('Credential should be scoped to a region.')
  if (scopeService !== service) {
    wrong.push(`Credential should be scoped to correct service: '${service}'.`)
  }
  if (terminator !== 'aws4_request') {
    wrong.push("Credential should be scoped with a valid terminator: 'aws4_request'.")
  }
  if (wrong.length > 0) throw refused('InvalidSignatureException', wrong.join(' '))
}

/** A header that changes what a request does must not be changeable behind the signer's back. */
function refuseUncovered(request: SignedRequest, claim: Claim): void {
  const covered = new Set(claim.signedHeaders)
  if (!covered.has('host') && !covered.has(':authority')) {
    throw refused(
      'InvalidSignatureException',
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    )
  }
  const uncovered = Object.keys(request.headers).filter(
    (name) => name.startsWith('x-amz-') && name !== 'x-amz-security-token' && !covered.has(name),
  )
  if (uncovered.length > 0) {
    throw refused(
      'InvalidSignatureException',
      `There were headers present in the request which were not signed: ${uncovered.join(', ')}`,
    )
  }
}

function payloadHash(request: SignedRequest, payload: SignedPayload): string {
  const named = headerOf(request, 'x-amz-content-sha256')
  if (payload.kind === 'streamed') return named ?? EMPTY_HASH
  const hash = sha256Hex(payload.body)
  if (named === null || named === hash) return hash
  throw refused(
    'InvalidSignatureException',
    named === UNSIGNED_PAYLOAD || named.startsWith('STREAMING-')
      ? `This operation does not accept the payload variant ${named}.`
      : "The provided 'x-amz-content-sha256' header does not match what was computed.",
  )
}

function mismatch(): ServiceError {
  return refused(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
  )
}

function refused(code: string, message: string): ServiceError {
  return new ServiceError('unauthenticated', code, message)
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** `2015-08-30T12:36:00.000Z` or an HTTP date to `20150830T123600Z`. */
function toBasicDate(text: string | null): string | null {
  const time =
    text === null ? NaN : /^\d{8}T\d{6}Z$/.test(text) ? parseBasicDate(text) : Date.parse(text)
  if (Number.isNaN(time)) return null
  return new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

function parseBasicDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}
