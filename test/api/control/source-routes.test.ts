import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { registerSourceRoutes } from '../../../src/api/control/source-routes.ts'
import { toHttpFailure } from '../../../src/api/control/index.ts'
import { createFastify } from '../../../src/api/fastify.ts'
import { startSources } from '../../../src/ingest/index.ts'
import { createSecretBox, openSourceRegistry } from '../../../src/registry/index.ts'
import { FakeCameras } from '../../ingest/sources/fake-cameras.ts'
import { openIngestFixture } from '../../ingest/ingest-fixture.ts'
import { scratchMetaStore } from '../../support/scratch.ts'

const PASSWORD = 'made-up-pa55'
const URL = `rtsp://admin:${PASSWORD}@cam.test:554/live`
/** Every answer of the test, as it was sent. */
let answers: string[]

async function serve() {
  const ingest = await openIngestFixture()
  const { registry: streams, deps } = ingest
  const box = createSecretBox(Buffer.alloc(32, 7))
  const registryDeps = { meta: await scratchMetaStore(), streams, clock: deps.clock, box }
  await streams.create({ name: 'declared', retentionHours: 1 })
  const sources = await openSourceRegistry(registryDeps, [{ stream: 'declared', url: URL }])
  const cameras = new FakeCameras()
  const pulls = startSources({ ...deps, sources, pullOf: () => cameras.pull, random: () => 0 })
  onTestFinished(() => pulls[Symbol.asyncDispose]())
  const fastify = createFastify()
  fastify.setErrorHandler((error, _request, reply) => {
    const { status, code, message } = toHttpFailure(error)
    return reply.status(status).send({ code, message })
  })
  registerSourceRoutes(fastify, {
    ...{ streams, sources, pulls, defaultRetentionHours: 24 },
    describeSession: (stream) => ({ of: stream }),
  })
  onTestFinished(() => fastify.close())
  const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object) => {
    const response = await fastify.inject({
      method,
      url: `/control/v1/sources${path}`,
      ...(body === undefined ? {} : { payload: body }),
    })
    answers.push(response.body)
    const answer = response.body === '' ? null : response.json<Record<string, unknown>>()
    return { status: response.statusCode, answer }
  }
  return { ...ingest, cameras, sources, call }
}

beforeEach(() => {
  answers = []
})
afterEach(() => {
  expect(answers.join('\n')).not.toMatch(/made-up-pa55|hush-hush|viewer/)
})

describe('sources over the control API', () => {
  test('are made with their stream, listed, changed and removed', async () => {
    const { call, cameras, registry } = await serve()

    const made = await call('POST', '', { stream: 'yard', url: URL, createStream: true })
    const called = await cameras.call('yard')
    const listed = await call('GET', '')
    const changed = await call('PATCH', '/yard', { transport: 'tcp', enabled: false })
    const removed = await call('DELETE', '/yard')
    const gone = await call('GET', '/yard')

    expect(made).toMatchObject({
      status: 201,
      answer: {
        ...{ stream: 'yard', origin: 'runtime', url: 'rtsp://cam.test:554/live' },
        ...{ username: 'admin', hasPassword: true, transport: 'auto', verifyCertificate: true },
        ...{ enabled: true, failedAttempts: 0, lastFailure: null, reconnects: {}, session: null },
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      },
    })
    expect(called.target.credentials?.password).toBe(PASSWORD)
    expect(listed.answer!.sources).toMatchObject([{ stream: 'declared' }, { stream: 'yard' }])
    expect(changed.answer).toMatchObject({ transport: 'tcp', enabled: false, state: 'disabled' })
    expect(called.leftFor).toBe('source-changed')
    expect([removed.status, gone.status]).toEqual([204, 404])
    expect(registry.find('yard')?.retentionHours).toBe(24)
  })

  test('say how they are doing', async () => {
    const { call, cameras, event } = await serve()
    await call('POST', '', { stream: 'x', url: URL })
    const first = await cameras.call('x')
    await first.fail('unauthorised', 'Wrong user name or password.')
    await event('sourceFailed', { stream: 'x' })
    const waiting = await call('GET', '/x')
    await call('PATCH', '/x', { password: 'hush-hush' })
    await (await cameras.call('x', 2)).publish()
    const publishing = await call('GET', '/x')

    expect(waiting.answer).toMatchObject({
      state: 'waiting',
      failedAttempts: 1,
      lastFailure: { reason: 'unauthorised', message: 'Wrong user name or password.' },
      reconnects: { unauthorised: 1 },
      nextAttemptAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    })
    expect(publishing.answer).toMatchObject({ state: 'publishing', session: { of: 'x' } })
  })

  test('mask what a query tells', async () => {
    const { call } = await serve()

    const url = 'http://cam.test/flv?app=bcs&user=viewer&password=hush-hush'
    const { answer } = await call('POST', '', { stream: 'x', url })

    expect(answer).toMatchObject({ url: 'http://cam.test/flv?app=bcs&user=***&password=***' })
  })

  test.each<{ body: object; status: number; code: string; says: string }>([
    { body: { url: URL }, status: 400, code: 'InvalidRequest', says: 'stream' },
    { body: { stream: 'x' }, status: 400, code: 'InvalidRequest', says: 'url' },
    { body: { stream: 'x', url: 7 }, status: 400, code: 'InvalidSource', says: 'url: ' },
    {
      body: { stream: 'x', url: URL, transport: 'sctp' },
      ...{ status: 400, code: 'InvalidRequest', says: 'transport' },
    },
    {
      body: { stream: 'x', url: URL, enabled: 'perhaps' },
      ...{ status: 400, code: 'InvalidRequest', says: 'enabled' },
    },
    {
      body: { stream: 'x', url: URL, pasword: 'hush-hush' },
      ...{ status: 400, code: 'InvalidRequest', says: 'additional' },
    },
    {
      body: { stream: 'x', url: `file:///${PASSWORD}` },
      ...{ status: 400, code: 'InvalidSource', says: 'url: ' },
    },
    {
      body: { stream: 'x', url: URL, password: `${PASSWORD}\n` },
      ...{ status: 400, code: 'InvalidSource', says: 'password: ' },
    },
    {
      body: { stream: 'x', url: URL, stallTimeoutMs: 1 },
      ...{ status: 400, code: 'InvalidSource', says: 'stallTimeoutMs: ' },
    },
    {
      body: { stream: 'none', url: URL },
      ...{ status: 404, code: 'StreamNotFound', says: 'none' },
    },
    {
      body: { stream: '../etc', url: URL, createStream: true },
      ...{ status: 400, code: 'InvalidStreamName', says: 'etc' },
    },
    {
      body: { stream: 'declared', url: URL },
      ...{ status: 409, code: 'SourceExists', says: 'declared' },
    },
  ])('refuse $body', async ({ body, status, code, says }) => {
    const { call } = await serve()

    const { status: actual, answer } = await call('POST', '', body)

    expect({ actual, code: answer!.code }).toEqual({ actual: status, code })
    expect(answer!.message).toContain(says)
  })

  test('make no stream for a source that is refused', async () => {
    const { call, registry } = await serve()

    await call('POST', '', { stream: 'yard', url: 'file:///etc/passwd', createStream: true })

    expect(registry.find('yard')).toBeNull()
  })

  test('leave a declared one alone', async () => {
    const { call } = await serve()

    const outcomes = [
      await call('PATCH', '/declared', { enabled: false }),
      await call('DELETE', '/declared'),
    ]

    expect(outcomes).toMatchObject([
      { status: 409, answer: { code: 'SourceDeclared' } },
      { status: 409, answer: { code: 'SourceDeclared' } },
    ])
  })

  test('an empty change is refused', async () => {
    const { call } = await serve()

    expect(await call('PATCH', '/declared', {})).toMatchObject({ status: 400 })
  })
})
