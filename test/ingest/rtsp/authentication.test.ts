import { describe, expect, test } from 'vitest'
import { ClientAuthentication } from '../../../src/ingest/rtsp/client-authentication.ts'
import { hashHex, parseAuthentication, toDigestResponse } from '../../../src/ingest/rtsp/digest.ts'
import type { RtspRequest } from '../../../src/ingest/rtsp/message.ts'
import { PublishAuthentication } from '../../../src/ingest/rtsp/publish-authentication.ts'
import { KEY, openIngestFixture } from '../ingest-fixture.ts'

describe('a digest', () => {
  test.each([
    {
      rule: 'RFC 7616 §3.9.1, MD5',
      algorithm: 'MD5' as const,
      is: '8ca523f5e9506fed4657c9700eebdbec',
    },
    {
      rule: 'RFC 7616 §3.9.1, SHA-256',
      algorithm: 'SHA-256' as const,
      is: '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    },
  ])('is that of $rule', ({ algorithm, is }) => {
    const response = toDigestResponse({
      algorithm,
      ha1: hashHex(algorithm, 'Mufasa:http-auth@example.org:Circle of Life'),
      method: 'GET',
      uri: '/dir/index.html',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      qop: {
        name: 'auth',
        nc: '00000001',
        cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      },
    })
    expect(response).toBe(is)
  })
})

const URI = 'rtsp://h/live/x'

async function openPublisherSide() {
  const { registry } = await openIngestFixture()
  const authentication = new PublishAuthentication(registry, 'n0nce')
  const judge = (authorization: string | null, stream = 'x', key: string | null = null) => {
    const headers = new Map(authorization === null ? [] : [['authorization', [authorization]]])
    const request: RtspRequest = {
      ...{ kind: 'request', method: 'ANNOUNCE', uri: URI },
      ...{ headers, body: new Uint8Array(0) },
    }
    return authentication.judge(request, { stream, key }).kind
  }
  return { authentication, judge }
}

/** What a client of ours answers to the challenge. */
function answerTo(challenge: string, credentials = { username: 'x', password: KEY }, uri = URI) {
  const client = new ClientAuthentication(credentials)
  expect(client.learn([challenge])).toBe(true)
  return client.answer('ANNOUNCE', uri)!
}

describe('a publisher is judged', () => {
  test('by each challenge that it is offered', async () => {
    const { authentication, judge } = await openPublisherSide()
    const challenges = authentication.challenges('missing').map(([, value]) => value)

    expect(challenges.map((value) => parseAuthentication([value])[0]!.scheme)).toEqual([
      ...['digest', 'digest', 'basic'],
    ])
    for (const challenge of challenges) {
      expect(judge(answerTo(challenge))).toBe('accepted')
      expect(judge(answerTo(challenge, { username: 'x', password: 'other-key' }))).toBe('wrong')
      expect(judge(answerTo(challenge, { username: 'y', password: KEY }))).toBe('wrong')
      expect(judge(answerTo(challenge), 'unknown')).toBe('wrong')
    }
  })

  test.each([
    { rule: 'without anything', key: null, header: null, is: 'missing' },
    { rule: 'by the key of the URL', key: KEY, header: null, is: 'accepted' },
    { rule: 'by a wrong key', key: 'wrong', header: null, is: 'wrong' },
    { rule: 'by a header before a key', key: KEY, header: 'Basic eDpub3BlISE=', is: 'wrong' },
    { rule: 'by a scheme that we do not know', key: KEY, header: 'Bearer abc', is: 'wrong' },
    { rule: 'by an empty header', key: null, header: 'Digest', is: 'wrong' },
  ])('$rule: $is', async ({ key, header, is }) => {
    const { judge } = await openPublisherSide()
    expect(judge(header, 'x', key)).toBe(is)
  })

  test.each([
    { rule: 'of the track', uri: `${URI}/streamid=0`, is: 'accepted' },
    { rule: 'without host (VLC)', uri: '/live/x', is: 'accepted' },
    { rule: 'without app', uri: 'rtsp://other/x', is: 'accepted' },
    { rule: 'of another stream', uri: 'rtsp://h/live/y', is: 'wrong' },
  ])('by a digest over the URL $rule: $is', async ({ uri, is }) => {
    const { judge, authentication } = await openPublisherSide()
    const challenge = authentication.challenges('missing')[1]![1]
    expect(judge(answerTo(challenge, undefined, uri))).toBe(is)
  })

  test('as stale when the key is right and the nonce of another connection', async () => {
    const { judge, authentication } = await openPublisherSide()
    const other = 'Digest realm="kinora", nonce="other"'

    expect(judge(answerTo(other))).toBe('stale')
    expect(judge(answerTo(other, { username: 'x', password: 'other-key' }))).toBe('wrong')
    expect(authentication.challenges('stale')[0]![1]).toContain('stale=true')
  })

  test('by 64 digits as by SHA-256, where the algorithm is not named', async () => {
    const { judge } = await openPublisherSide()
    const named = answerTo('Digest realm="kinora", nonce="n0nce", algorithm=SHA-256')
    expect(judge(named.replace(', algorithm=SHA-256', ''))).toBe('accepted')
  })
})

describe('a camera is answered', () => {
  const CREDENTIALS = { username: 'admin', password: 'p:"w' }
  const nc = (answer: string | null) => /nc=(\w+)/.exec(answer ?? '')?.[1]

  test('with the first digest that we know, before Basic', () => {
    const client = new ClientAuthentication(CREDENTIALS)
    client.learn(['Basic realm="a"', 'Digest nonce=n, algorithm=SHA-512', 'Digest nonce=m'])

    const answer = client.answer('DESCRIBE', 'rtsp://c/')
    expect(answer).toContain('nonce="m"')
    expect(answer).not.toContain('algorithm')
  })

  test('with Basic when there is nothing else', () => {
    const client = new ClientAuthentication(CREDENTIALS)
    expect(client.answer('DESCRIBE', 'rtsp://c/')).toBeNull()
    expect(client.learn(['Basic realm="a"'])).toBe(true)

    expect(client.answer('DESCRIBE', 'rtsp://c/')).toBe('Basic YWRtaW46cDoidw==')
    expect(client.learn(['Basic realm="a"'])).toBe(false)
  })

  test('counting up, and from one again with a new nonce', () => {
    const client = new ClientAuthentication(CREDENTIALS)
    client.learn(['Digest realm=r, nonce=a, qop="auth-int,auth", opaque="o"'])
    expect(nc(client.answer('DESCRIBE', 'u'))).toBe('00000001')
    expect(nc(client.answer('SETUP', 'u'))).toBe('00000002')

    client.learn(['Digest realm=r, nonce=b, qop=auth'])
    const answer = client.answer('PLAY', 'u')
    expect(nc(answer)).toBe('00000001')
    expect(answer).toContain('nonce="b"')
  })

  test.each([
    { rule: 'a new nonce', second: 'Digest realm=r, nonce=b', again: true },
    { rule: 'the same nonce, stale', second: 'Digest realm=r, nonce=a, stale=True', again: true },
    { rule: 'the same nonce', second: 'Digest realm=r, nonce=a', again: false },
    { rule: 'nothing that we know', second: 'Bearer x', again: false },
  ])('again after $rule: $again', ({ second, again }) => {
    const client = new ClientAuthentication(CREDENTIALS)
    client.learn(['Digest realm=r, nonce=a'])
    expect(client.learn([second])).toBe(again)
  })

  test('with the session variant of MD5 (RFC 7616 §3.4.2)', () => {
    const client = new ClientAuthentication(CREDENTIALS)
    client.learn(['Digest realm=r, nonce=n, algorithm=MD5-sess, qop=auth'])
    const answer = parseAuthentication([client.answer('PLAY', 'u')!])[0]!.parameters
    const cnonce = answer.get('cnonce')!
    const ha1 = hashHex('MD5', `${hashHex('MD5', 'admin:r:p:"w')}:n:${cnonce}`)
    const ha2 = hashHex('MD5', 'PLAY:u')

    expect(answer.get('response')).toBe(hashHex('MD5', `${ha1}:n:00000001:${cnonce}:auth:${ha2}`))
    expect(answer.get('username')).toBe('admin')
  })
})
