import { parseArgs } from 'node:util'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startApp, type App } from '../app.ts'
import { loadConfig } from '../config/index.ts'
import { createLog, type LogLevel } from '../observe/log.ts'
import { systemClock } from '../platform/clock.ts'
import { readArguments, UsageError, type Command } from './command.ts'
import { runDemoCamera } from './demo-camera.ts'
import { runDemoCheck } from './demo-check.ts'
import { runUntilSignal } from './run-until-signal.ts'

const FIXTURE = fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url))
const STREAM = 'demo'

/** `kinora demo`: the whole service with a camera of its own. */
export const demoCommand: Command = {
  name: 'demo',
  summary: 'run the service with a demo camera; --check does the whole job once and reports',
  help: `  kinora demo [--video PATH] [--model NAME] [--data FOLDER]
  kinora demo --check [--video PATH] [--model NAME] [--seconds N]

Options
      --video PATH     what the demo camera publishes (default: the built-in clip)
      --model NAME     a model's name or the path of its .onnx file (default: kinora-motion)
      --data FOLDER    keep the data there (default: a temporary folder, removed at the end)
      --http-port N    default 8080
      --rtmp-port N    default 1935
      --check          in a temporary folder on free ports: publish the video once, see it through
                       every stage, print one JSON line; exit code 1 names the stage that failed
      --seconds N      with --check: publish at most this much of the video (default 20)`,
  run: async (args) => {
    const { values } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: false,
        options: {
          video: { type: 'string' },
          model: { type: 'string' },
          data: { type: 'string' },
          'http-port': { type: 'string' },
          'rtmp-port': { type: 'string' },
          check: { type: 'boolean' },
          seconds: { type: 'string' },
        },
      }),
    )
    const videoPath = resolve(values.video ?? FIXTURE)
    if (!existsSync(videoPath)) throw new UsageError(`--video: there is no file ${videoPath}`)
    const model = values.model ?? 'kinora-motion'
    if (values.check === true) {
      const seconds = toNumber('--seconds', values.seconds, 20)
      process.exitCode = await runDemoCheck({ videoPath, model, seconds })
      return
    }
    const ports = {
      http: toNumber('--http-port', values['http-port'], 8080),
      rtmp: toNumber('--rtmp-port', values['rtmp-port'], 1935),
    }
    await runDemo({ videoPath, model, ports, dataDirectory: values.data ?? null })
  },
}

type DemoOptions = {
  readonly videoPath: string
  readonly model: string
  readonly ports: { readonly http: number; readonly rtmp: number }
  readonly dataDirectory: string | null
}

async function runDemo({ videoPath, model, ports, dataDirectory }: DemoOptions): Promise<void> {
  const directory = dataDirectory ?? (await mkdtemp(join(tmpdir(), 'kinora-demo-')))
  const config = loadConfig(null, {
    KINORA_DATA_DIRECTORY: directory,
    KINORA_HTTP__PORT: String(ports.http),
    KINORA_RTMP__PORT: String(ports.rtmp),
    KINORA_RTSP__ENABLED: 'false',
    KINORA_DETECTION__MODEL: model,
    KINORA_LOG__LEVEL: process.env.KINORA_LOG__LEVEL ?? 'warn',
  })
  const log = createLog(config.log.level as LogLevel, process.stderr)
  try {
    await runUntilSignal(async () => {
      const app = await startApp(config, { log })
      const camera = await startDemoStreams(app, videoPath, log)
      return {
        [Symbol.asyncDispose]: async () => {
          await camera[Symbol.asyncDispose]()
          await app[Symbol.asyncDispose]()
        },
      }
    })
  } finally {
    if (dataDirectory === null) await rm(directory, { recursive: true, force: true })
  }
}

/** One stream for the demo camera and one that waits for the user's own. */
async function startDemoStreams(
  app: App,
  videoPath: string,
  log: ReturnType<typeof createLog>,
): Promise<AsyncDisposable> {
  const demoUrl = await toPublishUrl(app, STREAM)
  const ownUrl = await toPublishUrl(app, 'my-camera')
  const stopping = new AbortController()
  const running = runDemoCamera(
    { videoPath, url: demoUrl, clock: systemClock, log },
    stopping.signal,
  )
  console.log(`
Kinora is running.

  Console             ${app.publicUrl}
  HLS                 ${app.publicUrl}/streams/${STREAM}/hls/master.m3u8
  Your own camera     ffmpeg -re -i VIDEO -c copy -f flv '${ownUrl}'

Ctrl-C stops it.
`)
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await running
    },
  }
}

async function toPublishUrl(app: App, name: string): Promise<string> {
  // With --data the stream may be there from the last run, but only its key's hash was kept.
  const publishKey = randomBytes(18).toString('base64url')
  if (app.registry.find(name) === null) {
    await app.registry.create({ name, retentionHours: 24, publishKey })
  } else {
    await app.registry.update(name, { publishKey })
  }
  return `${app.rtmpUrl}/${name}?key=${publishKey}`
}

function toNumber(option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  if (!/^[0-9]+$/.test(text)) throw new UsageError(`${option}: not a number: ${text}`)
  return Number(text)
}
