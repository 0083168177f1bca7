import { createHmac, timingSafeEqual, webcrypto } from 'node:crypto'
import type { ServiceError } from '../../domain/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { AccessKeys, AccessKeyTerms } from './access-keys.ts'
import {
  canonicalRequest,
  headerOf,
  sha256Hex,
  type SignedRequest,
} from '../../platform/sigv4/canonical-request.ts'
import {
  ALGORITHM,
  parseBasicDate,
  readClaim,
  refused,
  toBasicDate,
  type SignatureClaim,
} from './signature-claim.ts'

/** Who made a request. */
export type Caller = { readonly accessKeyId: string }

/** What the signature must say about the body. */
export type SignedPayload =
  | {
      readonly kind: 'whole'
      readonly body: Uint8Array
      /** Its SHA-256 in lower-case hexadecimal digits, where that is known: {@link hashedPayload}. */
      readonly hash?: string
    }
  /**
   * The body is not read before the caller is known (PutMedia): signed is the hash of nothing,
   * `UNSIGNED-PAYLOAD`, or whatever hash `x-amz-content-sha256` names.
   */
  | { readonly kind: 'streamed' }

export type SignatureVerifier = {
  /** @throws `unauthenticated` with the service's exception name as code */
  verify(request: SignedRequest, payload: SignedPayload): Caller
}

/** From so many bytes on a hash is made on another thread: below, the way there costs more. */
const MIN_BYTES_ELSEWHERE = 64 * 1024

/** A large body is hashed on another thread: half a millisecond per megabyte that others are served in. */
export async function hashedPayload(body: Uint8Array): Promise<SignedPayload> {
  if (body.length < MIN_BYTES_ELSEWHERE) return { kind: 'whole', body }
  const digest = await webcrypto.subtle.digest('SHA-256', body)
  return { kind: 'whole', body, hash: Buffer.from(digest).toString('hex') }
}

const MAX_SKEW_MS = 15 * 60_000
/** Of a presigned URL: seven days. */
const MAX_EXPIRES_SECONDS = 604_800
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
const EMPTY_HASH = sha256Hex('')
/** A key and its day give the same signing key for every request. */
const CACHED_SIGNING_KEYS = 256

export type VerifierOptions = {
  readonly service: string
  readonly accessKeys: AccessKeys
  readonly clock: Clock
}

/**
 * Checks AWS Signature Version 4, in the `Authorization` header or in the query (presigned).
 *
 * Any region is taken: one endpoint serves clients configured for any. What the signature must
 * cover, besides method, target and body: `host` (the SDKs sign it as `:authority` over HTTP/2) and
 * every `x-amz-*` header but the session token (the C producer leaves that one out).
 */
export function createSignatureVerifier(options: VerifierOptions): SignatureVerifier {
  const { service, accessKeys, clock } = options
  const signingKeys = new Map<string, { secret: string; signingKey: Buffer }>()

  function signingKeyOf({ accessKeyId, scope }: SignatureClaim, secret: string): Buffer {
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
      const key = accessKeys(claim.accessKeyId)
      if (key === null) throw unrecognized()
      const hash = payloadHash(request, payload)
      const canonical = canonicalRequest(request, claim.signedHeaders, hash)
      const toSign = [ALGORITHM, claim.date, claim.scope, sha256Hex(canonical)].join('\n')
      const expected = createHmac('sha256', signingKeyOf(claim, key.secretAccessKey))
        .update(toSign)
        .digest()
      const given = Buffer.from(claim.signature, 'hex')
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw mismatch()
      refuseWrongToken(claim, key, clock.now())
      return { accessKeyId: claim.accessKeyId }
    },
  }
}

function refuseOutsideItsTime(claim: SignatureClaim, now: number): void {
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

function refuseForeignScope(claim: SignatureClaim, service: string): void {
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
function refuseUncovered(request: SignedRequest, claim: SignatureClaim): void {
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
  const hash = payload.hash ?? sha256Hex(payload.body)
  if (named === null || named === hash) return hash
  throw refused(
    'InvalidSignatureException',
    named === UNSIGNED_PAYLOAD || named.startsWith('STREAMING-')
      ? `This operation does not accept the payload variant ${named}.`
      : "The provided 'x-amz-content-sha256' header does not match what was computed.",
  )
}

/** After the signature: who has not the secret learns nothing about the token. */
function refuseWrongToken(
  { sessionToken }: SignatureClaim,
  { sessionToken: expected, expiresAt }: AccessKeyTerms,
  now: number,
): void {
  // A token with a key that has none is ignored: environments keep one from elsewhere.
  if (expected === undefined) return
  if (sessionToken === null || sha256Hex(sessionToken) !== sha256Hex(expected)) throw unrecognized()
  if (expiresAt !== undefined && now >= expiresAt) {
    throw refused('ExpiredTokenException', 'The security token included in the request is expired')
  }
}

function unrecognized(): ServiceError {
  return refused(
    'UnrecognizedClientException',
    'The security token included in the request is invalid.',
  )
}

function mismatch(): ServiceError {
  return refused(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
  )
}
