import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createAccess, toHttpFailure, type Access } from '../../../src/api/control/index.ts'
import { epochMs } from '../../../src/domain/time.ts'

const TOKEN = 'test-admin-token-1'
let nowMs = 1_700_000_000_000
const clock = {
  now: () => epochMs(nowMs),
  monotonicMs: () => nowMs,
  sleep: async () => undefined,
}

function serve(adminToken: string | null): { fastify: FastifyInstance; access: Access } {
  const access = createAccess({
    adminToken,
    sealingKey: Buffer.alloc(32, 7),
    openHosts: ['localhost', '127.0.0.1'],
    secureCookies: false,
    clock,
  })
  const fastify = Fastify()
  fastify.setErrorHandler((error, _request, reply) => {
    const { status, code } = toHttpFailure(error)
    return reply.status(status).send({ code })
  })
  fastify.get('/admin', async (request) => {
    access.requireAdmin(request)
    return 'in'
  })
  fastify.get<{ Params: { name: string } }>('/play/:name', async (request) => {
    access.requirePlayback(request, request.params.name)
    return 'in'
  })
  return { fastify, access }
}

let current: FastifyInstance
async function ask(url: string, headers: Record<string, string> = {}): Promise<number> {
  return (await current.inject({ url, headers: { host: 'localhost:8080', ...headers } })).statusCode
}

beforeEach(() => {
  nowMs = 1_700_000_000_000
})
afterEach(() => current.close())

describe('with an admin token', () => {
  let access: Access
  beforeEach(() => {
    const served = serve(TOKEN)
    current = served.fastify
    access = served.access
  })

  const cases: readonly { rule: string; headers: Record<string, string>; status: number }[] = [
    { rule: 'nothing', headers: {}, status: 401 },
    { rule: 'the token', headers: { authorization: `Bearer ${TOKEN}` }, status: 200 },
    { rule: 'another token', headers: { authorization: 'Bearer wrong-token' }, status: 401 },
    {
      rule: 'a prefix of it',
      headers: { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      status: 401,
    },
    { rule: 'another scheme', headers: { authorization: `Basic ${TOKEN}` }, status: 401 },
    { rule: 'a made-up session', headers: { cookie: 'kinora_session=9999999999.x' }, status: 401 },
    { rule: 'an empty session', headers: { cookie: 'kinora_session=' }, status: 401 },
  ]
  test.each(cases)('$rule -> $status', async ({ headers, status }) => {
    expect(await ask('/admin', headers)).toBe(status)
    expect(await ask('/play/cam', headers)).toBe(status)
  })

  test('a session lasts a week', async () => {
    const cookie = access.signIn(TOKEN).split(';')[0]!

    expect(await ask('/admin', { cookie: `other=1; ${cookie}` })).toBe(200)
    nowMs += 7 * 24 * 3600 * 1000 + 1000
    expect(await ask('/admin', { cookie })).toBe(401)
  })

  test('a wrong token opens no session', () => {
    expect(() => access.signIn('wrong')).toThrow('not the admin token')
  })

  test('a playback token opens one stream, for its time, and nothing else', async () => {
    const token = access.playbackToken('cam', 60)

    expect(await ask(`/play/cam?token=${token}`)).toBe(200)
    expect(await ask(`/play/other?token=${token}`)).toBe(401)
    expect(await ask(`/admin?token=${token}`)).toBe(401)
    expect(await ask('/admin', { cookie: `kinora_session=${token}` })).toBe(401)
    nowMs += 61_000
    expect(await ask(`/play/cam?token=${token}`)).toBe(401)
  })

  test('a changed expiry does not fit its signature', async () => {
    const [expires, signature] = access.playbackToken('cam', 60).split('.')

    expect(await ask(`/play/cam?token=${Number(expires) + 1}.${signature}`)).toBe(401)
  })
})

describe('without an admin token', () => {
  beforeEach(() => {
    current = serve(null).fastify
  })

  test.each([
    { host: 'localhost:8080', status: 200 },
    { host: '127.0.0.1:9', status: 200 },
    { host: 'LOCALHOST', status: 200 },
    { host: 'attacker.example', status: 403 },
    { host: 'localhost.attacker.example', status: 403 },
  ])('host $host -> $status', async ({ host, status }) => {
    expect(await ask('/admin', { host })).toBe(status)
    expect(await ask('/play/cam', { host })).toBe(status)
  })

  test('a token that does not hold is not made up for by being on this machine', async () => {
    expect(await ask('/play/cam?token=1.x')).toBe(401)
    expect(await ask('/play/cam?token=1.x&token=2.y')).toBe(401)
  })
})

describe('toHttpFailure', () => {
  test('reveals nothing about a bug', () => {
    const leaky = new Error("ENOENT: open '/srv/keys/signing.pem'")

    expect(JSON.stringify(toHttpFailure(leaky))).not.toContain('/srv')
  })
})
