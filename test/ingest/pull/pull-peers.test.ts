import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { pullHttpFlv } from '../../../src/ingest/pull/pull-http-flv.ts'
import { pullRtmp } from '../../../src/ingest/pull/pull-rtmp.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory, untilTestEnds } from '../../support/scratch.ts'
import { startPull } from './pull-fixture.ts'

const CLIP = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const PUBLISHER = fileURLToPath(new URL('../../support/publish.mjs', import.meta.url))
const BENCH = fileURLToPath(new URL('../../../bench/', import.meta.url))
const NGINX_MODULE = '/usr/lib/nginx/modules/ngx_rtmp_module.so'

const hasFfmpeg = isInstalled('ffmpeg', '-version')
const hasNginx = existsSync(NGINX_MODULE) && isInstalled('nginx', '-v')
const hasNodeMediaServer = existsSync(join(BENCH, 'node_modules/node-media-server'))
if (!hasNodeMediaServer) console.warn('skipped: node-media-server is not installed in bench/')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Ends with the test. */
function start(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  untilTestEnds({
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await gone
    },
  })
  return child
}

/** Resolves when the port answers. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1')
    const answered = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (answered) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`it ended with ${child.exitCode}`)
}

async function startNginx(): Promise<string> {
  const [directory, port] = [await scratchDirectory(), await freePort()]
  const config = join(directory, 'nginx.conf')
  await writeFile(
    config,
    `load_module ${NGINX_MODULE};
daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
events {} rtmp { server { listen 127.0.0.1:${port}; application live { live on; } } }
`,
  )
  const nginx = start('nginx', ['-c', config, '-p', directory])
  await listening(port, nginx)
  return `rtmp://127.0.0.1:${port}/live/cam`
}

async function startNodeMediaServer() {
  const [directory, rtmp, http] = [await scratchDirectory(), await freePort(), await freePort()]
  const server = start(process.execPath, [
    join(BENCH, 'ingest/node-media-server.mjs'),
    ...[String(rtmp), String(http), directory],
  ])
  await listening(rtmp, server)
  await listening(http, server)
  const path = `127.0.0.1:${rtmp}/live/cam`
  return { rtmp: `rtmp://${path}`, flv: `http://127.0.0.1:${http}/live/cam.flv` }
}

const publish = (url: string) =>
  start(process.execPath, [PUBLISHER, CLIP, url, '--realtime', '--rounds', '10'])

/** Pulls until a fragment with picture and sound is stored, then leaves. */
async function expectStored(pull: Awaited<ReturnType<typeof startPull>>): Promise<void> {
  const persisted = pull.event('fragmentPersisted')
  // What ends the attempt before is the better failure to be told.
  const ended = await Promise.race([persisted.then(() => 'persisted'), pull.outcome])
  expect(ended).toBe('persisted')
  pull.leave()
  expect(await pull.outcome).toBeNull()

  const [first] = await pull.stored()
  expect(first!.tracks.map(({ codecId }) => codecId)).toEqual(['V_MPEG4/ISO/AVC', 'A_AAC'])
  expect(first!.samples[0]!.isKey).toBe(true)
  expect(first!.samples.length).toBeGreaterThan(20)
}

describe('pulled from', () => {
  test.runIf(hasNginx)('nginx-rtmp, which shakes hands with digests', async () => {
    const url = await startNginx()
    publish(url)
    await expectStored(await startPull(pullRtmp, url))
  })

  test.runIf(hasNodeMediaServer)('node-media-server over RTMP', async () => {
    const { rtmp } = await startNodeMediaServer()
    publish(rtmp)
    await expectStored(await startPull(pullRtmp, rtmp))
  })

  test.runIf(hasNodeMediaServer)('node-media-server over HTTP-FLV', async () => {
    const { rtmp, flv } = await startNodeMediaServer()
    publish(rtmp)
    await expectStored(await startPull(pullHttpFlv, flv))
  })

  test.runIf(hasFfmpeg)('ffmpeg as an HTTP server', async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}/x.flv`
    const input = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', CLIP]
    start('ffmpeg', [...input, ...['-c', 'copy', '-f', 'flv', '-listen', '1', url]])
    // It takes one connection, so that none can be spent on looking whether it listens.
    for (;;) {
      const pull = await startPull(pullHttpFlv, url)
      const first = await Promise.race([pull.publishing, pull.outcome])
      if (first !== null && 'reason' in first && first.reason === 'unreachable') continue
      await expectStored(pull)
      break
    }
  })
})
