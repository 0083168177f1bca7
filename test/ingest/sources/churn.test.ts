import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { pullOf, startSources } from '../../../src/ingest/index.ts'
import { createSecretBox, openSourceRegistry } from '../../../src/registry/index.ts'
import { avcFrame, avcHeader } from '../../support/rtmp-client.ts'
import { scratchMetaStore } from '../../support/scratch.ts'
import { flvFile } from '../flv/flv-file.ts'
import { openIngestFixture } from '../ingest-fixture.ts'

const KEY_FRAME = flvFile([
  [9, 0, avcHeader()],
  [9, 0, avcFrame({ isKey: true })],
])

/** A camera that sends a key frame and keeps the stream open. */
async function startCamera() {
  const sockets = new Set<Socket>()
  let calls = 0
  const server = createServer((_request, response) => {
    calls++
    response.writeHead(200, { 'content-type': 'video/x-flv' }).write(KEY_FRAME)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/flv`
  const allGone = async () => {
    for (const socket of sockets) await once(socket, 'close')
  }
  return { url, allGone, calls: () => calls, connected: () => sockets.size }
}

async function start(url: string) {
  const ingest = await openIngestFixture()
  const { registry: streams, deps } = ingest
  const box = createSecretBox(Buffer.alloc(32, 7))
  const meta = await scratchMetaStore()
  const sources = await openSourceRegistry({ meta, streams, clock: deps.clock, box }, [])
  const running = startSources({ ...deps, sources, pullOf, random: () => 0 })
  onTestFinished(() => running[Symbol.asyncDispose]())
  await sources.create({ stream: 'x', url })
  const published = (nth: number) =>
    ingest.observed.recorder.first(() => ingest.events('sourcePublishing').length >= nth)
  return { ...ingest, sources, running, published }
}

const ROUNDS = 60

describe('a source that changes all the time, with a real camera', () => {
  test('is left every time, and everything that came is kept', async () => {
    const camera = await startCamera()
    const { sources, running, sessions, published, stored } = await start(camera.url)
    await published(1)

    for (let round = 2; round <= ROUNDS; round++) {
      await sources.update('x', { stallTimeoutMs: 1_000 + round })
      await published(round)
    }
    const meanwhile = { sessions: sessions.list().length, calls: camera.calls() }
    await sources.delete('x')
    await running.settled('x')
    await camera.allGone()

    expect(meanwhile).toEqual({ sessions: 1, calls: ROUNDS })
    expect(sessions.list()).toEqual([])
    expect(await stored()).toHaveLength(ROUNDS)
  })

  test('faster than it can be called, ends in the last change', async () => {
    const camera = await startCamera()
    const { sources, running, sessions } = await start(camera.url)

    for (let round = 0; round < ROUNDS; round++) {
      await sources.update('x', { enabled: round % 2 === 0 })
    }
    await running.settled('x')
    await camera.allGone()

    expect(running.status('x')).toMatchObject({ state: 'disabled' })
    expect(sessions.list()).toEqual([])
    expect(camera.connected()).toBe(0)
  })
})
