import { ServiceError } from '../../domain/errors.ts'
import {
  headerOf,
  splitTarget,
  type SignedRequest,
} from '../../platform/sigv4/canonical-request.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** What a request says about its own signature: {@link readClaim}. */
export type SignatureClaim = {
  readonly accessKeyId: string
  /** `<yyyymmdd>/<region>/<service>/aws4_request` */
  readonly scope: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** `yyyymmddThhmmssZ` */
  readonly date: string
  /** Of a presigned request. */
  readonly expiresSeconds: number | null
  /** Of temporary credentials. The C producer leaves it out of what it signs. */
  readonly sessionToken: string | null
}

/**
 * From the `Authorization` header or from the query (presigned).
 *
 * @throws ServiceError `unauthenticated` with the service's exception name as code
 */
export function readClaim(request: SignedRequest): SignatureClaim {
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

function readAuthorization(request: SignedRequest, authorization: string): SignatureClaim {
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
    sessionToken: headerOf(request, 'x-amz-security-token'),
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

function readPresigned(query: ReadonlyMap<string, string>): SignatureClaim {
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
    sessionToken: query.get('X-Amz-Security-Token') ?? null,
  })
}

function toClaim(parts: {
  credential: string
  signedHeaders: string
  signature: string
  date: string
  expires: string | null
  sessionToken: string | null
}): SignatureClaim {
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
    sessionToken: parts.sessionToken,
  }
}

export function refused(code: string, message: string): ServiceError {
  return new ServiceError('unauthenticated', code, message)
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** `2015-08-30T12:36:00.000Z` or an HTTP date to `20150830T123600Z`. */
export function toBasicDate(text: string | null): string | null {
  const time =
    text === null ? NaN : /^\d{8}T\d{6}Z$/.test(text) ? parseBasicDate(text) : Date.parse(text)
  if (Number.isNaN(time)) return null
  return new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

export function parseBasicDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}
