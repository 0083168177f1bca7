import { ServiceError } from './errors.ts'

/** The address of a camera as people give it, taken apart into what may be shown and what may not. */
export type SourceAddress = {
  /** Without user information. Its path or query may still hold secrets: see {@link maskUrl}. */
  readonly url: URL
  readonly credentials: SourceCredentials | null
}

export type SourceCredentials = { readonly username: string; readonly password: string }

export const SOURCE_SCHEMES = ['rtsp', 'rtsps', 'rtmp', 'rtmps', 'http', 'https'] as const
export type SourceScheme = (typeof SOURCE_SCHEMES)[number]

export const MASK = '***'
const MAX_URL_LENGTH = 2048

/**
 * Splits `user:password@` off and decodes it.
 *
 * @throws ServiceError `invalid-argument`/`InvalidSource`; the message quotes nothing of the text
 */
export function parseSourceUrl(text: string): SourceAddress {
  if (text.length > MAX_URL_LENGTH) {
    throw invalidSource('url', `must not be longer than ${MAX_URL_LENGTH} characters`)
  }
  if (!URL.canParse(text)) throw invalidSource('url', `is no URL. ${ENCODE_HINT}`)
  const url = new URL(text)
  if (!SOURCE_SCHEMES.some((scheme) => url.protocol === `${scheme}:`)) {
    throw invalidSource('url', `must begin with one of ${SOURCE_SCHEMES.join('://, ')}://`)
  }
  if (url.hostname === '') throw invalidSource('url', 'names no host')
  // Nobody sends it, so it is most likely the rest of a password.
  if (url.hash !== '') throw invalidSource('url', `must not hold a #. ${ENCODE_HINT}`)
  if (text.includes(`=${MASK}`)) {
    throw invalidSource(
      'url',
      `holds ${MASK} in place of a secret that is not shown; give it whole`,
    )
  }
  const credentials =
    url.username === '' && url.password === ''
      ? null
      : { username: decode(url.username), password: decode(url.password) }
  url.username = ''
  url.password = ''
  return { url, credentials }
}

/**
 * A URL as it may be shown: values whose name sounds like a secret are masked, in the query and in
 * paths such as `/user=admin_password=x_channel=1.sdp`, and user information if there is any.
 */
export function maskUrl(text: string): string {
  return text.replace(USER_INFORMATION, `$1${MASK}@`).replace(SECRET_VALUE, `$1${MASK}`)
}

/** What {@link maskUrl} hides of a path and query, as written and decoded. */
export function secretsOf(url: URL): readonly string[] {
  return [...url.href.matchAll(SECRET_VALUE)].flatMap(([, , value]) => [value!, decode(value!)])
}

export function invalidSource(field: string, problem: string): ServiceError {
  return new ServiceError('invalid-argument', 'InvalidSource', `${field}: ${problem}.`)
}

const ENCODE_HINT =
  'In a password, percent-encode / ? # @ and %, or give user name and password apart from the URL'

const USER_INFORMATION = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i
/** Rather one too many: a mask costs nothing. */
const SECRET_VALUE =
  /([\w-]*(?:pass|pwd|user|usr|login|cred|key|token|secret|auth|sig)[\w-]*=)([^&;/?#]*)/gi

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a lone % is meant as one
  }
}
