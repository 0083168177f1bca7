import { describe, expect, test } from 'vitest'
import { SignatureV4 } from '@smithy/signature-v4'
import { createHash, createHmac } from 'node:crypto'
import {
  createSignatureVerifier,
  createVerifier,
  hashedPayload,
  signRequest,
  type SignedPayload,
  type SignedRequest,
} from '../../../src/api/auth/index.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const KEY = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const NOW = Date.UTC(2015, 7, 30, 12, 36, 0)
const EMPTY: SignedPayload = { kind: 'whole', body: new Uint8Array(0) }

function verifierOf(service: string, now = NOW) {
  const accessKeys = (id: string) => (id === KEY.accessKeyId ? KEY : null)
  return createSignatureVerifier({ service, accessKeys, clock: new ManualClock(now) })
}

/** What the SDK's own signer makes of a request. */
async function signed(
  change: Partial<{
    method: string
    path: string
    query: Record<string, string>
    headers: Record<string, string>
    body: string
  }> = {},
  credentials = KEY,
) {
  const { method = 'POST', path = '/', query = {}, headers = {}, body = '' } = change
  const signer = new SignatureV4({
    service: 'kinesis',
    region: 'eu-west-3',
    credentials,
    sha256: Sha256,
  })
  const request = {
    method,
    protocol: 'http:',
    hostname: 'localhost',
    path,
    query,
    headers: { host: 'localhost:8080', ...headers },
    body,
  }
  const result = await signer.sign(request, { signingDate: new Date(NOW) })
  const search = Object.entries(query).map(
    ([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`,
  )
  const target = search.length === 0 ? path : `${path}?${search.join('&')}`
  return {
    request: { method, target, headers: result.headers },
    payload: { kind: 'whole' as const, body: Buffer.from(body) },
  }
}

async function presigned(expiresIn: number, credentials: typeof KEY = KEY) {
  const signer = new SignatureV4({
    service: 'kinesis',
    region: 'eu-west-3',
    credentials,
    sha256: Sha256,
  })
  const request = {
    method: 'GET',
    protocol: 'http:',
    hostname: 'localhost',
    path: '/hls',
    query: { a: 'b c' },
    headers: { host: 'localhost:8080' },
  }
  const result = await signer.presign(request, { signingDate: new Date(NOW), expiresIn })
  const search = Object.entries(result.query as Record<string, string>).map(
    ([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`,
  )
  return { method: 'GET', target: `/hls?${search.join('&')}`, headers: { host: 'localhost:8080' } }
}

describe('published vectors', () => {
  const scope = (service: string) => `AKIDEXAMPLE/20150830/us-east-1/${service}/aws4_request`
  const vector = (service: string, signedHeaders: string, signature: string) =>
    `AWS4-HMAC-SHA256 Credential=${scope(service)}, SignedHeaders=${signedHeaders}, Signature=${signature}`
  const example = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' }

  test.each([
    {
      vector: 'get-vanilla',
      service: 'service',
      request: { method: 'GET', target: '/', headers: { ...example } },
      signedHeaders: 'host;x-amz-date',
      signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    },
    {
      vector: 'post-vanilla',
      service: 'service',
      request: { method: 'POST', target: '/', headers: { ...example } },
      signedHeaders: 'host;x-amz-date',
      signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    },
    {
      vector: 'get-vanilla-query-order-key-case',
      service: 'service',
      request: { method: 'GET', target: '/?Param2=value2&Param1=value1', headers: { ...example } },
      signedHeaders: 'host;x-amz-date',
      signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    },
    {
      vector: 'IAM ListUsers, of the AWS General Reference',
      service: 'iam',
      request: {
        method: 'GET',
        target: '/?Action=ListUsers&Version=2010-05-08',
        headers: {
          host: 'iam.amazonaws.com',
          'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
          'x-amz-date': '20150830T123600Z',
        },
      },
      signedHeaders: 'content-type;host;x-amz-date',
      signature: '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    },
  ])('$vector', ({ service, request, signedHeaders, signature }) => {
    const headers = { ...request.headers, authorization: vector(service, signedHeaders, signature) }

    expect(verifierOf(service).verify({ ...request, headers }, EMPTY)).toEqual({
      accessKeyId: 'AKIDEXAMPLE',
    })
  })
})

describe('what the SDK signs', () => {
  test.each([
    { what: 'an empty body', change: {} },
    { what: 'a body', change: { body: '{"a":"ü"}' } },
    { what: 'a path with encoded characters', change: { path: '/a%20b/c%2Fd' } },
    { what: 'a query with everything', change: { query: { b: 'x y+z', a: "!'()*~", ü: 'é/=' } } },
    { what: 'headers with runs of spaces', change: { headers: { 'x-amz-meta': '  a   b  ' } } },
  ])('is accepted: $what', async ({ change }) => {
    const { request, payload } = await signed(change)

    expect(verifierOf('kinesis').verify(request, payload).accessKeyId).toBe(KEY.accessKeyId)
  })

  test.each([65_535, 65_536, 700_000])('is accepted with a body of %d bytes', async (length) => {
    const body = 'x'.repeat(length)
    const { request } = await signed({ body })
    const payload = await hashedPayload(Buffer.from(body))
    const other = await hashedPayload(Buffer.from(`${body.slice(1)}y`))

    expect(verifierOf('kinesis').verify(request, payload).accessKeyId).toBe(KEY.accessKeyId)
    expect(() => verifierOf('kinesis').verify(request, other)).toThrow(
      expect.objectContaining({ code: 'InvalidSignatureException' }),
    )
  })

  const tampering: { what: string; change: (request: Signed) => Partial<SignedRequest> }[] = [
    { what: 'another method', change: () => ({ method: 'PUT' }) },
    { what: 'another path', change: () => ({ target: '/b?x=1' }) },
    { what: 'another query', change: () => ({ target: '/a?x=2' }) },
    { what: 'one more parameter', change: () => ({ target: '/a?x=1&y=1' }) },
    {
      what: 'another host',
      change: ({ headers }) => ({ headers: { ...headers, host: 'elsewhere' } }),
    },
    {
      what: 'another target',
      change: ({ headers }) => ({ headers: { ...headers, 'x-amz-target': 'Other' } }),
    },
    {
      what: 'an unsigned x-amz header',
      change: ({ headers }) => ({ headers: { ...headers, 'x-amz-new': '1' } }),
    },
    {
      what: 'a cut signature',
      change: ({ headers }) => ({
        headers: { ...headers, authorization: headers.authorization!.slice(0, -1) },
      }),
    },
    {
      what: 'a signature of something else',
      change: ({ headers }) => ({
        headers: {
          ...headers,
          authorization: `${headers.authorization!.slice(0, -64)}${'0'.repeat(64)}`,
        },
      }),
    },
    {
      what: 'host left out of the signed headers',
      change: ({ headers }) => ({
        headers: { ...headers, authorization: headers.authorization!.replace('host;', '') },
      }),
    },
    {
      what: 'another service in the scope',
      change: ({ headers }) => ({
        headers: { ...headers, authorization: headers.authorization!.replace('/kinesis/', '/s3/') },
      }),
    },
  ]
  test.each(tampering)('is refused with $what', async ({ change }) => {
    const { request, payload } = await signed({
      path: '/a',
      query: { x: '1' },
      headers: { 'x-amz-target': 'T' },
    })
    verifierOf('kinesis').verify(request, payload)

    expect(() => verifierOf('kinesis').verify({ ...request, ...change(request) }, payload)).toThrow(
      expect.objectContaining({
        kind: 'unauthenticated',
        code: 'InvalidSignatureException',
      }) as Error,
    )
  })

  test('is refused with another body', async () => {
    const { request } = await signed({ body: 'one' })

    expect(codeOf(request, { kind: 'whole', body: Buffer.from('two') })).toBe(
      'InvalidSignatureException',
    )
  })

  test.each(['UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'])(
    'is refused as %s where the body is at hand, accepted where it is streamed',
    async (variant) => {
      const { request, payload } = await signed({
        body: 'x',
        headers: { 'x-amz-content-sha256': variant },
      })

      expect(codeOf(request, payload)).toBe('InvalidSignatureException')
      expect(codeOf(request, { kind: 'streamed' })).toBeNull()
    },
  )

  test('is accepted for a streamed body signed as empty, as the C producer does', async () => {
    const { request } = await signed({ body: '' })
    const { 'x-amz-content-sha256': _hash, ...headers } = request.headers
    const bare = resigned({ ...request, headers })

    expect(codeOf(bare, { kind: 'streamed' })).toBeNull()
  })

  test('is refused for an unknown key with a code of its own', async () => {
    const { request, payload } = await signed({}, { ...KEY, accessKeyId: 'AKIDOTHER' })

    expect(codeOf(request, payload)).toBe('UnrecognizedClientException')
  })

  test.each([
    { minutes: -15, seconds: 0, code: null },
    { minutes: -15, seconds: -1, code: 'InvalidSignatureException' },
    { minutes: 15, seconds: 0, code: null },
    { minutes: 15, seconds: 1, code: 'InvalidSignatureException' },
  ])(
    'is judged at $minutes min $seconds s from its date: $code',
    async ({ minutes, seconds, code }) => {
      const { request, payload } = await signed()

      expect(codeOf(request, payload, NOW + (minutes * 60 + seconds) * 1000)).toBe(code)
    },
  )
})

describe('presigned requests', () => {
  test.each([
    { at: 0, code: null },
    { at: 60_000, code: null },
    { at: 61_000, code: 'InvalidSignatureException' },
    { at: -16 * 60_000, code: 'InvalidSignatureException' },
  ])('good for a minute, at $at ms: $code', async ({ at, code }) => {
    expect(codeOf(await presigned(60), EMPTY, NOW + at)).toBe(code)
  })

  test('changed in any parameter are refused', async () => {
    const request = await presigned(60)
    for (const [from, to] of [
      ['a=b', 'a=c'],
      ['X-Amz-Expires=60', 'X-Amz-Expires=61'],
      ['/hls', '/clip'],
    ]) {
      const target = request.target.replace(from!, to!)
      expect(target).not.toBe(request.target)
      expect(codeOf({ ...request, target }, EMPTY)).toBe('InvalidSignatureException')
    }
  })

  test('together with an Authorization header are refused', async () => {
    const { request } = await signed()
    const { target } = await presigned(60)

    expect(codeOf({ ...request, method: 'GET', target }, EMPTY)).toBe('InvalidSignatureException')
  })

  test('name every part that is missing', () => {
    const request = {
      method: 'GET',
      target: '/?X-Amz-Algorithm=AWS4-HMAC-SHA256',
      headers: { host: 'x' },
    }

    expect(() => verifierOf('kinesis').verify(request, EMPTY)).toThrow(
      /X-Amz-Credential.*X-Amz-Signature.*X-Amz-SignedHeaders.*X-Amz-Date.*X-Amz-Expires/,
    )
  })
})

describe('temporary credentials', () => {
  const SESSION = { ...KEY, sessionToken: 'a token', expiresAt: NOW + 1000 }
  const verify = (request: SignedRequest, payload: SignedPayload, now = NOW) =>
    createSignatureVerifier({
      service: 'kinesis',
      accessKeys: () => SESSION,
      clock: new ManualClock(now),
    }).verify(request, payload)

  test('hold with their token, signed by the SDK, until they end', async () => {
    const { request, payload } = await signed({}, SESSION)

    expect(request.headers).toMatchObject({ 'x-amz-security-token': 'a token' })
    expect(verify(request, payload)).toEqual({ accessKeyId: KEY.accessKeyId })
    expect(() => verify(request, payload, NOW + 1000)).toThrow(
      expect.objectContaining({ code: 'ExpiredTokenException' }),
    )
  })

  test('hold with a token that is not signed, as the C producer sends it', async () => {
    const { request, payload } = await signed()
    const headers = { ...request.headers, 'x-amz-security-token': 'a token' }

    expect(verify({ ...request, headers }, payload)).toEqual({ accessKeyId: KEY.accessKeyId })
  })

  test.each([{}, { 'x-amz-security-token': 'another' }, { 'x-amz-security-token': '' }])(
    'do not hold with %o',
    async (token) => {
      const { request, payload } = await signed()
      const headers = { ...request.headers, ...token }

      expect(() => verify({ ...request, headers }, payload)).toThrow(
        expect.objectContaining({ code: 'UnrecognizedClientException' }),
      )
    },
  )

  test('hold in a presigned address, where the token is part of what is signed', async () => {
    const request = await presigned(60, SESSION)

    expect(request.target).toContain('X-Amz-Security-Token=a%20token')
    expect(verify(request, EMPTY)).toEqual({ accessKeyId: KEY.accessKeyId })
    expect(() =>
      verify({ ...request, target: request.target.replace('a%20token', 'b') }, EMPTY),
    ).toThrow(expect.objectContaining({ code: 'InvalidSignatureException' }))
  })

  test('are what our own signer sends', () => {
    const request = { method: 'POST', target: '/', headers: { host: 'localhost' } }
    const options = { key: SESSION, region: 'r', service: 'kinesis', now: new Date(NOW) }
    const added = signRequest(request, new Uint8Array(0), options)

    const sent = { ...request, headers: { ...request.headers, ...added } }
    expect(verify(sent, EMPTY)).toEqual({ accessKeyId: KEY.accessKeyId })
  })
})

describe('without signatures', () => {
  const open = createVerifier('kinesis', {
    ...{ accessKeys: () => null, clock: new ManualClock(NOW) },
    openTo: ['localhost', '[::1]'],
  })
  const call = (headers: Record<string, string | undefined>) =>
    open.verify({ method: 'POST', target: '/', headers }, EMPTY)

  test.each([
    { who: 'nobody', headers: {}, accessKeyId: 'anonymous' },
    {
      who: 'whoever they say',
      headers: { authorization: 'AWS4-HMAC-SHA256 Credential=AKID1/2015/r/kinesis/aws4_request' },
      accessKeyId: 'AKID1',
    },
    {
      who: 'a page of ours',
      headers: { origin: 'http://localhost:8080' },
      accessKeyId: 'anonymous',
    },
  ])('callers are $who', ({ headers, accessKeyId }) => {
    expect(call({ host: 'LOCALHOST:8080', ...headers })).toEqual({ accessKeyId })
    expect(call({ host: '[::1]', ...headers })).toEqual({ accessKeyId })
  })

  test.each([
    { what: 'no host', headers: { host: undefined } },
    { what: 'a name that somebody points at this machine', headers: { host: 'evil.example:8080' } },
    { what: 'a page elsewhere', headers: { host: 'localhost', origin: 'https://evil.example' } },
    { what: 'a sandboxed page', headers: { host: 'localhost', origin: 'null' } },
  ])('$what is refused', ({ headers }) => {
    expect(() => call(headers)).toThrow(
      expect.objectContaining({ kind: 'permission-denied', code: 'AccessDeniedException' }),
    )
  })
})

describe('incomplete requests', () => {
  test('without any credentials miss a token', () => {
    expect(codeOf({ method: 'POST', target: '/', headers: { host: 'x' } }, EMPTY)).toBe(
      'MissingAuthenticationTokenException',
    )
  })

  test.each([
    {
      authorization: 'AWS4-HMAC-SHA256',
      missing: /'Credential'.*'Signature'.*'SignedHeaders'.*'X-Amz-Date'/,
    },
    {
      authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Signature=x',
      missing: /'SignedHeaders'.*'X-Amz-Date'/,
    },
    { authorization: 'Basic dXNlcjpwYXNz', missing: /'Credential'.*'Signature'.*'SignedHeaders'/ },
  ])('list each missing part: $authorization', ({ authorization, missing }) => {
    const request = { method: 'POST', target: '/', headers: { host: 'x', authorization } }

    expect(codeOf(request, EMPTY)).toBe('IncompleteSignatureException')
    expect(() => verifierOf('kinesis').verify(request, EMPTY)).toThrow(missing)
    expect(() => verifierOf('kinesis').verify(request, EMPTY)).not.toThrow(/dXNlcjpwYXNz/)
  })

  test.each([
    {
      header: 'a credential of four parts',
      authorization: 'Credential=a/b/c/d, SignedHeaders=host, Signature=0',
    },
    {
      header: 'a date that is none',
      authorization: 'Credential=a/b/c/d/e, SignedHeaders=host, Signature=0',
      date: 'now',
    },
  ])('$header is incomplete', ({ authorization, date = '20150830T123600Z' }) => {
    const headers = {
      host: 'x',
      'x-amz-date': date,
      authorization: `AWS4-HMAC-SHA256 ${authorization}`,
    }

    expect(codeOf({ method: 'POST', target: '/', headers }, EMPTY)).toBe(
      'IncompleteSignatureException',
    )
  })
})

type Signed = { method: string; target: string; headers: Record<string, string> }

/** The code of the refusal, or `null` when accepted. */
function codeOf(request: SignedRequest, payload: SignedPayload, now = NOW): string | null {
  try {
    verifierOf('kinesis', now).verify(request, payload)
    return null
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** Signs `host` and `x-amz-date` over an empty payload by hand: no header names the hash. */
function resigned(request: Signed): Signed {
  const hex = (text: string) => createHash('sha256').update(text).digest('hex')
  const date = request.headers['x-amz-date']!
  const scope = `${date.slice(0, 8)}/us-west-2/kinesis/aws4_request`
  const canonical = `${request.method}\n/\n\nhost:${request.headers.host}\nx-amz-date:${date}\n\nhost;x-amz-date\n${hex('')}`
  let key = Buffer.from(`AWS4${KEY.secretAccessKey}`)
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hex(canonical)}`
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${KEY.accessKeyId}/${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}`
  return { ...request, headers: { host: request.headers.host!, 'x-amz-date': date, authorization } }
}

/** The hash interface of the SDK's signer over Node's. */
class Sha256 {
  readonly #hash
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac('sha256', Buffer.from(secret as Uint8Array))
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data)
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
  reset(): void {}
}
