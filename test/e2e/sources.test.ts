import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { decodeUrl } from '../../src/platform/av/decode-url.ts'
import { hasRtspCamera, startRtspCamera } from '../support/rtsp-camera.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { eventually, freePort, getJson, ROOT, startService } from '../support/service.ts'

// Pulled cameras, from outside: a real service in its own process, real cameras in theirs.

const USER = 'viewer-for-tests'
const PASSWORD = 'Made-Up/Pa55@1'
const NEXT_PASSWORD = 'Made-Up/Pa55@2'
const SETTINGS = { detection: { enabled: false }, log: { level: 'debug' } }

type SourceAnswer = {
  readonly state: string
  readonly url: string
  readonly failedAttempts: number
  readonly lastFailure: { readonly reason: string; readonly message: string } | null
  readonly session: { readonly protocol: string } | null
}

describe.runIf(hasRtspCamera())('a pulled camera', () => {
  test('is added, watched, lost, found again, told its new password, and removed', async () => {
    const directory = await scratchDirectory()
    const port = await freePort()
    const account = { port, username: USER, method: 'digest' } as const
    let camera = await startRtspCamera({ ...account, password: PASSWORD })
    let service = await startService(directory, SETTINGS)
    const logs = [service.log]
    onTestFinished(async () => {
      await camera.kill()
      await service.end('SIGKILL')
    })
    const said: string[] = []
    const api = async <T>(path: string, init?: RequestInit) => {
      const answer = await getJson<T>(`${service.url}/control/v1${path}`, init)
      said.push(JSON.stringify(answer))
      return answer
    }
    const source = () => api<SourceAnswer>('/sources/yard')
    const reaching = (state: string, reason?: string) =>
      eventually(async () => {
        const found = await source()
        const isSo =
          found.state === state &&
          (reason ?? found.lastFailure?.reason) === found.lastFailure?.reason
        return isSo ? found : null
      }, 60)
    const kinora = (...args: string[]) => {
      const environment = { ...process.env, KINORA_URL: service.url }
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(ROOT, 'bin/kinora.cjs'), ...args],
        { cwd: directory, encoding: 'utf8', env: environment },
      )
      said.push(stdout, stderr)
      return { status, stdout, stderr }
    }
    const passwordFile = join(directory, 'camera.txt')
    await writeFile(passwordFile, `${PASSWORD}\n`)
    const credentials = ['--username', USER, '--password-file', passwordFile]

    // Tried, added, recorded
    const startedAt = Date.now()
    const tried = kinora('sources', 'test', camera.url, ...credentials, '--seconds', '3')
    const added = kinora('sources', 'add', 'yard', camera.url, '--create-stream', ...credentials)
    const first = await reaching('publishing')
    const isRecorded = async (since: number) => {
      const { archive } = await api<{ archive: { newest: number | null } }>('/streams/yard')
      return (archive.newest ?? 0) > since ? archive.newest : null
    }
    await eventually(() => isRecorded(0))
    const listed = kinora('sources', 'list')

    // Lost and found again
    await camera.kill()
    const lost = await reaching('waiting')
    camera = await startRtspCamera({ ...account, password: PASSWORD })
    await reaching('publishing')
    const foundAgainAt = Date.now()
    await eventually(() => isRecorded(foundAgainAt), 30)

    // After a restart of the service
    await service.end('SIGTERM')
    service = await startService(directory, SETTINGS)
    logs.push(service.log)
    await reaching('publishing')

    // A new password
    await camera.kill()
    camera = await startRtspCamera({ ...account, password: NEXT_PASSWORD })
    const refused = await reaching('waiting', 'unauthorised')
    await api('/sources/yard', {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ password: NEXT_PASSWORD }),
    })
    await reaching('publishing')

    // Seen, across all that: an independent viewer decodes every picture
    const range = `from=${startedAt}&to=${Date.now()}`
    const viewed = await decodeUrl(
      `${service.url}/streams/yard/hls/master.m3u8?${range}`,
      AbortSignal.timeout(20_000),
    )

    // Removed, with its stream
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    const commandLine = await readFile(`/proc/${service.process.pid}/cmdline`, 'utf8').catch(
      () => '',
    )
    const deleted = await fetch(`${service.url}/control/v1/streams/yard`, { method: 'DELETE' })
    const left = await api<{ sources: unknown[] }>('/sources')
    const stored = await readTree(join(directory, 'data'))
    const exitCode = await service.end('SIGTERM')

    expect(tried.stdout).toMatch(
      /It works: rtsp-pull[^]*video: avc1\.\w+ 320x240[^]*every (9\d\d|1\d{3}) ms/,
    )
    expect(added.stdout).toMatch(/^Added: yard from rtsp:\/\/127/)
    expect(first).toMatchObject({ session: { protocol: 'rtsp-pull' } })
    expect(viewed).toMatchObject({ widthPx: 320, heightPx: 240 })
    expect(viewed.videoFrames).toBeGreaterThan(60)
    expect(listed.stdout).toMatch(/yard\s+publishing/)
    expect(lost.lastFailure?.reason).toMatch(/^(peer-closed|unreachable|stalled)$/)
    expect(refused.failedAttempts).toBeGreaterThan(0)
    expect(metrics).toContain('kinora_source_publishing{stream="yard"} 1')
    expect(deleted.status).toBe(204)
    expect(left.sources).toEqual([])
    expect(exitCode).toBe(0)

    const everything = [
      ...said,
      ...logs.map((log) => JSON.stringify(log)),
      metrics,
      commandLine,
      stored,
    ]
    for (const secret of [PASSWORD, NEXT_PASSWORD].flatMap(spellings)) {
      expect(everything.some((text) => text.includes(secret))).toBe(false)
    }
  }, 240_000)
})

test('200 sources that are dead or hang cost little and harm nothing', async () => {
  const directory = await scratchDirectory()
  const silent = createServer()
  const sockets = new Set<Socket>()
  silent.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)))
  })
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const deadPort = await freePort()
  const hangingPort = (silent.address() as AddressInfo).port
  const schemes = ['rtsp', 'rtsp', 'rtsps', 'rtmp', 'http'] as const
  const sources = Array.from({ length: 200 }, (_, i) => ({
    stream: `cam-${i}`,
    url: `${schemes[i % schemes.length]}://${USER}@127.0.0.1:${i % 2 === 0 ? deadPort : hangingPort}/live`,
    password: PASSWORD,
    connectTimeoutMs: 500,
  }))
  // V8 takes what there is before it collects: with little it shows what is really kept.
  const nodeOptions = '--max-old-space-size=96 --max-semi-space-size=4'
  const service = await startService(directory, { ...SETTINGS, sources }, { nodeOptions })
  onTestFinished(async () => {
    await service.end('SIGKILL')
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const readMetric = async (name: string) => {
    const text = await (await fetch(`${service.url}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1])
  }
  const before = await readMetric('process_resident_memory_bytes')

  const answers = await eventually(async () => {
    const { sources: found } = await getJson<{ sources: SourceAnswer[] }>(
      `${service.url}/control/v1/sources`,
    )
    return found.every(({ failedAttempts }) => failedAttempts >= 2) ? found : null
  }, 120)
  const grownBytes = (await readMetric('process_resident_memory_bytes')) - before
  const openFiles = await readMetric('process_open_fds')
  const exitCode = await service.end('SIGTERM')

  const reasons = new Set(answers.map(({ lastFailure }) => lastFailure!.reason))
  expect([...reasons].every((reason) => /^(unreachable|no-answer|tls)$/.test(reason))).toBe(true)
  expect(reasons).toContain('unreachable')
  expect(reasons).toContain('no-answer')
  expect(grownBytes).toBeLessThan(50e6)
  expect(openFiles).toBeLessThan(600)
  expect(exitCode).toBe(0)
  expect(JSON.stringify(service.log)).not.toMatch(/unhandled/i)
  expect(JSON.stringify([service.log, answers])).not.toContain(PASSWORD)
}, 180_000)

describe('what the commands show', () => {
  const kinora = (directory: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(ROOT, 'bin/kinora.cjs'), ...args], {
      cwd: directory,
      encoding: 'utf8',
    })

  test('config print hides the secrets of declared sources, config check names the field', async () => {
    const directory = await scratchDirectory()
    const writeConfig = (url: string) =>
      writeFile(
        join(directory, 'kinora.yaml'),
        stringify({ sources: [{ stream: 'a', url, password: PASSWORD }] }),
      )

    await writeConfig(`http://${USER}:hush-hush@cam.test/flv?app=bcs&token=hush-hush`)
    const printed = kinora(directory, 'config', 'print')
    await writeConfig('gopher://hush-hush@cam.test/')
    const checked = kinora(directory, 'config', 'check')

    expect(printed.stdout).toContain('url: http://***@cam.test/flv?app=bcs&token=***')
    expect(printed.stdout).toContain('password: (set)')
    expect(printed.stdout).not.toMatch(/hush-hush|Pa55/)
    expect(checked.status).toBe(1)
    expect(checked.stderr).toContain('sources.0.url: must begin with')
    expect(checked.stderr).not.toMatch(/hush-hush|Pa55/)
  })

  test('a trial that fails says why and exits with 1', async () => {
    const url = `rtsp://${USER}:hush-hush@127.0.0.1:${await freePort()}/`
    const directory = await scratchDirectory()

    const tried = kinora(directory, 'sources', 'test', url)
    const asJson = kinora(directory, 'sources', 'test', url, '--json')

    expect([tried.status, asJson.status]).toEqual([1, 1])
    expect(tried.stdout).toMatch(/^It does not work \(unreachable\): /)
    expect(JSON.parse(asJson.stdout)).toMatchObject({ works: false, reason: 'unreachable' })
    expect(tried.stdout + tried.stderr + asJson.stdout).not.toContain('hush-hush')
  })

  test.each([
    { args: ['list', 'a', 'b', 'c'], says: 'too many arguments' },
    { args: ['test', 'rtsp://c.test/', '--seconds', 'x'], says: '--seconds' },
    { args: ['update', 'a', '--enable', '--disable'], says: 'not both' },
    { args: ['add', 'a'], says: 'give the URL' },
    { args: ['add', 'a', 'rtsp://c.test/', '--transport', 'quic'], says: '--transport' },
    { args: ['paint', 'a'], says: 'no such action' },
  ])('kinora sources $args -> $says', async ({ args, says }) => {
    const { status, stderr } = kinora(await scratchDirectory(), 'sources', ...args)

    expect(status).toBe(2)
    expect(stderr).toContain(says)
  })

  test.runIf(existsSync('/proc/self/cmdline'))(
    'a password among the arguments is not in the list of processes',
    async () => {
      const server = createServer()
      onTestFinished(() => void server.close())
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const url = `rtsp://${USER}:hush-hush@127.0.0.1:${(server.address() as AddressInfo).port}/`
      const child = spawn(
        process.execPath,
        [join(ROOT, 'bin/kinora.cjs'), 'sources', 'test', url],
        { stdio: 'ignore' },
      )
      onTestFinished(() => void child.kill('SIGKILL'))

      const [socket] = (await once(server, 'connection')) as [Socket]
      const commandLine = await readFile(`/proc/${child.pid}/cmdline`, 'utf8')
      socket.destroy()

      expect(commandLine).toContain('kinora sources')
      expect(commandLine).not.toContain('hush-hush')
    },
  )
})

function spellings(secret: string): readonly string[] {
  const basic = Buffer.from(`${USER}:${secret}`).toString('base64')
  return [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64'), basic]
}

/** All files below a folder as one text, media left out. */
async function readTree(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile() && !/\.(mkv|idx)$/.test(entry.name))
  const texts = files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1'))
  return (await Promise.all(texts)).join('\n')
}
