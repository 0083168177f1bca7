import { createHmac } from 'node:crypto'
import { canonicalRequest, sha256Hex, type SignedRequest } from './canonical-request.ts'

export type AccessKey = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined
}

/**
 * The headers that sign a request with AWS Signature Version 4: what the command line sends to the
 * service. All headers of the request are signed; `host` is to be among them.
 */
export function signRequest(
  request: SignedRequest,
  body: Uint8Array,
  options: {
    readonly key: AccessKey
    readonly region: string
    readonly service: string
    readonly now: Date
    /** Of S3, whose objects may have any name. */
    readonly paths?: 'as-sent'
    /** In place of the body's own hash, as the official producers sign an endless one. */
    readonly payloadHash?: string
  },
): Readonly<Record<string, string>> {
  const { key, region, service } = options
  const date = options.now.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = [date.slice(0, 8), region, service, 'aws4_request']
  const added = {
    'x-amz-date': date,
    ...(key.sessionToken === undefined ? {} : { 'x-amz-security-token': key.sessionToken }),
  }
  const headers = { ...request.headers, ...added }
  const names = Object.keys(headers).sort()
  const canonical = canonicalRequest(
    { ...request, headers },
    names,
    options.payloadHash ?? sha256Hex(body),
    options.paths,
  )
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256Hex(canonical)].join('\n')
  const signingKey = scope.reduce<string | Buffer>(
    (previous, part) => createHmac('sha256', previous).update(part).digest(),
    `AWS4${key.secretAccessKey}`,
  )
  const signature = createHmac('sha256', signingKey).update(toSign).digest('hex')
  return {
    ...added,
    authorization:
      `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope.join('/')}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}
