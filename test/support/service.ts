import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'

export const ROOT = resolve(import.meta.dirname, '../..')

/** A running `kinora serve`, seen from outside. */
export type Service = {
  readonly url: string
  readonly rtmpUrl: string
  readonly process: ChildProcess
  /** What it has logged so far, one parsed JSON line each. */
  readonly log: readonly Record<string, unknown>[]
  /** Sends the signal and waits for the end; resolves with the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts the program in its own process, as a user would, and waits until it is ready. */
export async function startService(
  directory: string,
  settings: Record<string, unknown>,
  { nodeOptions = '' }: { readonly nodeOptions?: string } = {},
): Promise<Service> {
  const [http, rtmp] = [await freePort(), await freePort()]
  await mkdir(directory, { recursive: true })
  const config = join(directory, 'kinora.yaml')
  await writeFile(
    config,
    stringify({
      dataDirectory: join(directory, 'data'),
      ...settings,
      http: { port: http, ...(settings.http as object | undefined) },
      rtmp: { port: rtmp, ...(settings.rtmp as object | undefined) },
      rtsp: { port: 0, ...(settings.rtsp as object | undefined) },
    }),
  )
  const child = spawn(process.execPath, [join(ROOT, 'bin/kinora.cjs'), 'serve', '-c', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
    env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${nodeOptions}` },
  })
  const log: Record<string, unknown>[] = []
  let errors = ''
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) log.push(JSON.parse(line) as Record<string, unknown>)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const url = `http://127.0.0.1:${http}`
  for (let attempt = 0; ; attempt++) {
    if (child.exitCode !== null || child.signalCode !== null || attempt === 300) {
      child.kill('SIGKILL')
      throw new Error(
        `the service did not start (${child.exitCode}): ${errors}\n${JSON.stringify(log)}`,
      )
    }
    const ready = await fetch(`${url}/readyz`).catch(() => null)
    await ready?.arrayBuffer()
    if (ready?.ok === true) break
    await delay(50)
  }
  return {
    url,
    rtmpUrl: `rtmp://127.0.0.1:${rtmp}/live`,
    process: child,
    log,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
      return child.exitCode
    },
  }
}

/** Publishes a file with FFmpeg's own client in a process of its own; real time unless `fast`. */
export function publishWithFfmpeg(options: {
  readonly path: string
  readonly url: string
  readonly seconds: number
  readonly pace: 'realtime' | 'fast'
}): { readonly process: ChildProcess; readonly ended: Promise<number | null> } {
  const script = join(ROOT, 'test/support/publish.mjs')
  const { path, url, seconds, pace } = options
  const child = spawn(
    process.execPath,
    [
      ...[script, path, url, '--rounds', 'Infinity', '--seconds', String(seconds)],
      ...(pace === 'realtime' ? ['--realtime'] : []),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  return { process: child, ended }
}

/** Asks again until there is an answer other than null, at most `seconds`. */
export async function eventually<T>(
  ask: () => Promise<T | null> | T | null,
  seconds = 20,
): Promise<T> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer !== null) return answer
    if (Date.now() > end) throw new Error(`nothing within ${seconds} s: ${String(ask)}`)
    await delay(50)
  }
}

export async function getJson<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await fetch(url, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
