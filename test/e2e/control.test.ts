import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { publishWithFfmpeg, ROOT, startService, type Service } from '../support/service.ts'

// The control API and the `kinora` commands against a running service with an admin token.

const TOKEN = 'test-admin-token-for-control'
let directory: string
let service: Service

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kinora-control-'))
  service = await startService(directory, {
    auth: { adminToken: TOKEN },
    detection: { enabled: false },
  })
})
afterAll(async () => {
  await service?.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

async function call(method: string, path: string, body?: unknown, token = TOKEN) {
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const answer = text === '' ? null : (JSON.parse(text) as Record<string, never>)
  return { status: response.status, answer, headers: response.headers }
}

function kinora(...args: string[]) {
  const environment = { ...process.env, KINORA_URL: service.url, KINORA_AUTH__ADMIN_TOKEN: TOKEN }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/kinora.cjs'), ...args],
    { cwd: directory, encoding: 'utf8', env: environment },
  )
  return { status, stdout, stderr }
}

describe('control API', () => {
  test('a stream is made, changed, found and deleted', async () => {
    const created = await call('POST', '/control/v1/streams', { name: 'a', retentionHours: 2 })
    const changed = await call('PATCH', '/control/v1/streams/a', { retentionHours: 48 })
    const found = await call('GET', '/control/v1/streams/a')
    const deleted = await call('DELETE', '/control/v1/streams/a')
    const gone = await call('GET', '/control/v1/streams/a')

    expect(created.status).toBe(201)
    expect(created.answer).toMatchObject({
      publishKey: expect.stringMatching(/^[\w-]{24}$/) as string,
      stream: { name: 'a', state: 'idle', retentionHours: 2 },
    })
    expect(changed.answer).toMatchObject({ retentionHours: 48 })
    expect(found.answer).toMatchObject({ retentionHours: 48, archive: { bytes: 0 } })
    expect(deleted.status).toBe(204)
    expect(gone).toMatchObject({ status: 404, answer: { code: 'StreamNotFound' } })
  })

  test('says where there is media, and why there is none', async () => {
    await call('POST', '/control/v1/streams', { name: 'empty', retentionHours: 48 })
    const path = '/control/v1/streams/empty/coverage'

    const recent = await call('GET', `${path}?from=${Date.now() - 60_000}`)
    const unclear = await call('GET', `${path}?by=camera&from=0`)
    const endless = await call('GET', path)

    expect(recent.answer).toMatchObject({
      by: 'producer',
      spans: [],
      gaps: [{ reason: 'no-publisher', detail: 'before the first fragment' }],
    })
    expect([unclear.status, endless.status]).toEqual([400, 400])
    await call('DELETE', '/control/v1/streams/empty')
  })

  test.each([
    { path: '/control/v1/streams', body: { name: 'x/y' }, code: 'InvalidStreamName', status: 400 },
    { path: '/control/v1/streams', body: {}, code: 'InvalidRequest', status: 400 },
    {
      path: '/control/v1/streams',
      body: { name: 'b', huge: 1 },
      code: 'InvalidRequest',
      status: 400,
    },
    {
      path: '/control/v1/streams',
      body: { name: 'b', retentionHours: -1 },
      code: 'InvalidRetention',
      status: 400,
    },
    {
      path: '/control/v1/streams/none/playback-token',
      body: {},
      code: 'StreamNotFound',
      status: 404,
    },
    { path: '/control/v1/hooks/none/wake', body: {}, code: 'HookNotFound', status: 404 },
    { path: '/control/v1/nothing', body: {}, code: 'NotFound', status: 404 },
    {
      path: '/control/v1/session',
      body: { token: 'wrong-test-token' },
      code: 'WrongToken',
      status: 401,
    },
  ])('$path $body -> $code', async ({ path, body, code, status }) => {
    expect(await call('POST', path, body)).toMatchObject({ status, answer: { code } })
  })

  test.each(['/control/v1/streams', '/control/v1/service', '/control/v1/detections'])(
    '%s asks for the token',
    async (path) => {
      expect(await call('GET', path, undefined, 'wrong-test-token')).toMatchObject({ status: 401 })
    },
  )

  test('a console session opens it', async () => {
    const signedIn = await call('POST', '/control/v1/session', { token: TOKEN }, '')
    const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!

    const { status } = await fetch(`${service.url}/control/v1/streams`, { headers: { cookie } })

    expect(status).toBe(200)
  })

  test('a stream that is published cannot be deleted; a token plays it elsewhere', async () => {
    const { answer } = await call('POST', '/control/v1/streams', { name: 'live' })
    const { publishUrl } = answer as unknown as { publishUrl: string }
    const publisher = publishWithFfmpeg({
      path: join(ROOT, 'fixtures/moving-shapes.mp4'),
      url: publishUrl,
      seconds: 30,
      pace: 'realtime',
    })
    try {
      await expect
        .poll(async () => (await call('GET', '/control/v1/streams/live')).answer, {
          timeout: 15_000,
        })
        .toMatchObject({ state: 'live', session: { protocol: 'rtmp' } })
      expect(await call('DELETE', '/control/v1/streams/live')).toMatchObject({ status: 409 })

      const token = await call('POST', '/control/v1/streams/live/playback-token', { seconds: 60 })
      const { url } = token.answer as unknown as { url: string }
      await expect.poll(async () => (await fetch(url)).status, { timeout: 15_000 }).toBe(200)
      const withoutToken = await fetch(url.split('?')[0]!)
      expect(withoutToken.status).toBe(401)
    } finally {
      publisher.process.kill('SIGKILL')
      await publisher.ended
    }
    await expect
      .poll(async () => (await call('DELETE', '/control/v1/streams/live')).status, {
        timeout: 10_000,
      })
      .toBe(204)
    const names = await readdir(join(directory, 'data/archive'))
    expect(names.filter((name) => name.startsWith('live'))).toEqual([])
  }, 60_000)
})

describe('the commands', () => {
  test('streams create, list, set, delete', () => {
    const created = kinora('streams', 'create', 'cli', '--retention-hours', '3')
    const set = kinora('streams', 'set', 'cli', '--publish-key', 'test-key-of-cli')
    const listed = kinora('streams', 'list')
    const coverage = kinora('streams', 'coverage', 'cli', '--from', '2023-11-14T22:00Z')
    const deleted = kinora('streams', 'delete', 'cli')

    expect(created.stdout).toMatch(/rtmp:\/\/.*\/live\/cli\?key=/)
    expect(set.stdout).toBe('Changed cli.\n')
    expect(listed.stdout).toMatch(/^cli +idle +3 h/m)
    expect(coverage.stdout).toMatch(/^2023-11-14T22:00:00.000Z .*  gap {5}expired\n.*no-publisher/)
    expect(deleted.status).toBe(0)
  })

  test.each([
    { args: [], status: 2, says: 'kinora COMMAND' },
    { args: ['--help'], status: 0, says: 'serve' },
    { args: ['--version'], status: 0, says: '0.1.0' },
    { args: ['nothing'], status: 2, says: 'no such command: nothing' },
    { args: ['streams', '--help'], status: 0, says: '--retention-hours' },
    { args: ['streams', 'explode', 'x'], status: 2, says: 'no such action: explode' },
    { args: ['streams', 'create'], status: 2, says: 'give an action and a stream name' },
    { args: ['streams', 'delete', 'nobody'], status: 1, says: 'StreamNotFound' },
    { args: ['streams', 'create', 'x', '--nope'], status: 2, says: '--nope' },
    { args: ['config', 'check'], status: 0, says: 'valid' },
    { args: ['config', 'schema'], status: 0, says: 'kinora-config' },
    { args: ['model', 'list'], status: 0, says: 'kinora-motion  built in' },
    { args: ['model', 'show', 'kinora-motion'], status: 0, says: '"motion-map"' },
    { args: ['model', 'add', 'nothing'], status: 1, says: 'ModelNotFound' },
    { args: ['demo', '--video', 'nowhere.mp4'], status: 2, says: 'nowhere.mp4' },
  ])('kinora $args', ({ args, status, says }) => {
    const result = kinora(...args)

    expect(result.status).toBe(status)
    expect(result.stdout + result.stderr).toContain(says)
  })

  test('config print leaves secrets out', () => {
    const { stdout } = kinora('config', 'print')

    expect(stdout).toContain('adminToken: (set)')
    expect(stdout).not.toContain(TOKEN)
  })

  test('without a service the command says how to start one', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'bin/kinora.cjs'), 'streams', 'list'],
      {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, KINORA_URL: 'http://127.0.0.1:1' },
      },
    )

    expect(status).toBe(1)
    expect(stderr).toContain('kinora serve')
  })
})
