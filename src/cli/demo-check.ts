import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { startApp, type App } from '../app.ts'
import { loadConfig, type Config } from '../config/index.ts'
import { createLog } from '../observe/log.ts'
import { decodeUrl } from '../platform/av/decode-url.ts'
import { publishFile } from '../platform/av/publish-file.ts'
import { systemClock } from '../platform/clock.ts'

export type DemoCheckOptions = {
  readonly videoPath: string
  readonly model: string
  /** Publish at most this much of the video. */
  readonly seconds: number
}

const STREAM = 'demo'
const TEST_HOOK_SECRET = `whsec_${Buffer.from('kinora demo check test key').toString('base64')}`
/** A check that has not ended by then has failed. */
const LIMIT_MS = 180_000

/**
 * Does the main job once, for real, in a temporary folder on free ports, and looks at every stage
 * from outside: the control API, HLS through FFmpeg, records through the AWS SDK, a webhook
 * receiver. Prints one JSON line.
 *
 * @returns the exit code: 0, or 1 when a stage failed (the line then names it)
 */
export async function runDemoCheck(options: DemoCheckOptions): Promise<number> {
  const startedAt = performance.now()
  const beganAt = systemClock.now()
  const directory = await mkdtemp(join(tmpdir(), 'kinora-check-'))
  const log = createLog('error', process.stderr)
  const giveUp = AbortSignal.timeout(LIMIT_MS)
  const seen: Record<string, unknown> = {}
  let stage = 'start'
  const hooks = await startHookReceiver()
  let app: App | null = null
  try {
    app = await startApp(toConfig(directory, options, hooks.url), { log })
    const { publishKey } = await app.registry.create({ name: STREAM, retentionHours: 1 })

    stage = 'publish'
    const published = await publishFile(
      {
        path: options.videoPath,
        url: `${app.rtmpUrl}/${STREAM}?key=${publishKey}`,
        rounds: 1,
        realtime: true,
        maxSeconds: options.seconds,
      },
      systemClock,
      giveUp,
    )
    seen.samplesPublished = published.samples
    seen.secondsPublished = Number(published.seconds.toFixed(1))

    stage = 'archive'
    const expectedMs = published.seconds * 1000
    const stored = await until(giveUp, async () => {
      const metrics = await readMetrics(app!)
      return metrics.sessions === 0 && metrics.fragments > 0 ? metrics : null
    })
    seen.fragments = stored.fragments
    seen.bytesOnDisk = await folderSize(join(directory, 'archive'))
    require(Number(seen.bytesOnDisk) > 0, 'no chunk is on disk')

    stage = 'playback'
    const range = `from=${beganAt}` // until now
    const playlistUrl = `${app.publicUrl}/streams/${STREAM}/hls`
    const playlist = await readText(`${playlistUrl}/media.m3u8?${range}`)
    seen.hlsSegments = [...playlist.matchAll(/^#EXTINF:([0-9.]+)/gm)].length
    const listedMs =
      1000 *
      [...playlist.matchAll(/^#EXTINF:([0-9.]+)/gm)].reduce((sum, [, s]) => sum + Number(s), 0)
    require(Math.abs(listedMs - expectedMs) <
      1000, `the playlist has ${listedMs} ms, published were ${expectedMs} ms`)
    const decoded = await decodeUrl(`${playlistUrl}/master.m3u8?${range}`, giveUp)
    seen.hlsFramesDecoded = decoded.videoFrames
    require(decoded.videoFrames > 0, 'no frame could be decoded from HLS')

    stage = 'detection'
    const detection = await until(giveUp, async () => {
      const metrics = await readMetrics(app!)
      return metrics.fragmentsDetected >= stored.fragments ? metrics : null
    })
    seen.framesInferred = detection.framesInferred
    seen.detections = detection.detections
    require(Object.keys(detection.detections).length > 0, 'nothing was detected')

    stage = 'records'
    seen.recordsRead = await readRecordsWithSdk(app)
    require(Number(seen.recordsRead) > 0, 'no record could be read')

    stage = 'webhooks'
    seen.webhooksDelivered = await until(giveUp, async () => hooks.verified() || null)

    stage = 'stop'
    await app[Symbol.asyncDispose]()
    app = null
    seen.seconds = Number(((performance.now() - startedAt) / 1000).toFixed(1))
    console.log(JSON.stringify({ ok: true, ...seen }))
    return 0
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    console.log(JSON.stringify({ ok: false, failedStage: stage, error: message, ...seen }))
    return 1
  } finally {
    await app?.[Symbol.asyncDispose]()
    hooks.server.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function toConfig(directory: string, options: DemoCheckOptions, hookUrl: string): Config {
  return loadConfig(null, {
    KINORA_DATA_DIRECTORY: directory,
    KINORA_HTTP__PORT: '0',
    KINORA_RTMP__PORT: '0',
    KINORA_RTSP__ENABLED: 'false',
    KINORA_DETECTION__MODEL: options.model,
    KINORA_DETECTION__MAX_LAG_MS: 'null',
    KINORA_HOOKS: JSON.stringify([
      {
        name: 'check',
        url: hookUrl,
        secret: TEST_HOOK_SECRET,
        cooldownMs: 0,
        allowPrivateAddresses: true,
      },
    ]),
  })
}

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

/** Asks again until there is an answer. */
async function until<T>(signal: AbortSignal, ask: () => Promise<T | null>): Promise<T> {
  for (;;) {
    if (signal.aborted) throw new Error('it took too long')
    const answer = await ask()
    if (answer !== null) return answer
    await delay(100)
  }
}

async function readText(url: string): Promise<string> {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname}: HTTP ${response.status}: ${text}`)
  return text
}

async function readMetrics(app: App) {
  const text = await readText(`${app.publicUrl}/metrics`)
  const read = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{([^}]*)\\})? ([0-9.e+]+)$`, 'gm'))].map(
      ([, labels, value]) => ({ labels: labels ?? '', value: Number(value) }),
    )
  const sum = (name: string) => read(name).reduce((total, { value }) => total + value, 0)
  return {
    sessions: sum('kinora_ingest_sessions'),
    fragments: sum('kinora_archive_fragments_total'),
    fragmentsDetected: sum('kinora_detect_fragment_seconds_count'),
    framesInferred: sum('kinora_detect_frames_total'),
    detections: Object.fromEntries(
      read('kinora_detect_detections_total').map(({ labels, value }) => [
        /label="([^"]*)"/.exec(labels)?.[1] ?? '',
        value,
      ]),
    ),
  }
}

async function folderSize(path: string): Promise<number> {
  const names = await readdir(path, { recursive: true })
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** The unmodified client with its defaults: HTTP/2 without TLS, only endpoint and credentials set. */
async function readRecordsWithSdk(app: App): Promise<number> {
  const sdk = await import('@aws-sdk/client-kinesis').catch(() => {
    throw new Error('@aws-sdk/client-kinesis is not installed (npm ci without --omit=dev)')
  })
  const client = new sdk.KinesisClient({
    endpoint: app.publicUrl,
    region: app.region,
    credentials: { ...app.accessKey }, // the client writes into it
  })
  try {
    const StreamName = app.resultsStream
    const { Shards } = await client.send(new sdk.ListShardsCommand({ StreamName }))
    let records = 0
    for (const { ShardId } of Shards ?? []) {
      const start = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const
      let { ShardIterator } = await client.send(new sdk.GetShardIteratorCommand(start))
      for (;;) {
        const page = await client.send(new sdk.GetRecordsCommand({ ShardIterator }))
        records += page.Records?.length ?? 0
        ShardIterator = page.NextShardIterator
        if (ShardIterator === undefined || page.MillisBehindLatest === 0) break
      }
    }
    return records
  } finally {
    client.destroy()
  }
}

/** Counts deliveries whose Standard Webhooks signature holds. */
async function startHookReceiver(): Promise<{
  readonly server: Server
  readonly url: string
  readonly verified: () => number
}> {
  const webhook = new Webhook(TEST_HOOK_SECRET)
  const verified = new Set<string>()
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      try {
        webhook.verify(Buffer.concat(parts), request.headers as Record<string, string>)
        verified.add(String(request.headers['webhook-id']))
        response.writeHead(204).end()
      } catch {
        response.writeHead(401).end()
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { server, url: `http://127.0.0.1:${port}/hook`, verified: () => verified.size }
}
