import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeUrl } from '../../src/platform/av/decode-url.ts'
import { isInstalled } from '../support/installed.ts'
import {
  eventually,
  getJson,
  publishWithFfmpeg,
  ROOT,
  startService,
  type Service,
} from '../support/service.ts'

// The whole service in a process of its own, pushed to by FFmpeg and looked at from outside only.

const CLIP = join(ROOT, 'fixtures/moving-shapes.mp4')
const KEY = 'test-publish-key'
const ACCESS_KEY = {
  accessKeyId: 'KINORATESTKEY00001',
  secretAccessKey: 'test-secret-access-key-for-tests',
}
const HOOK_SECRET = `whsec_${Buffer.from('a test key of 24 bytes..').toString('base64')}`
/** Everything that this file publishes. */
const RANGE = `from=${Date.now()}`

let directory: string
let service: Service
let receiver: Receiver

type StreamAnswer = {
  readonly state: string
  readonly session: { readonly tracks: readonly { codec: string; widthPx?: number }[] } | null
  readonly archive: { readonly chunks: number; readonly bytes: number }
}
type DetectionsAnswer = {
  readonly detections: readonly {
    readonly streamName: string
    readonly frameTimestamp: string
    readonly imageUrl: string
    readonly detections: readonly { label: string }[]
  }[]
}

function settings(): Record<string, unknown> {
  return {
    log: { level: 'info' },
    auth: { accessKeys: [ACCESS_KEY] },
    streams: [
      { name: 'cam', retentionHours: 1, publishKey: KEY },
      { name: 'ffmpeg', retentionHours: 1, publishKey: KEY },
      { name: 'killed', retentionHours: 1, publishKey: KEY },
    ],
    detection: { maxLagMs: null },
    notify: { retryDelaysMs: Array.from({ length: 40 }, () => 2_000) },
    hooks: [
      {
        name: 'test',
        url: receiver.url,
        secret: HOOK_SECRET,
        labels: ['motion'],
        streams: ['cam'],
        cooldownMs: 3_600_000,
        allowPrivateAddresses: true,
      },
    ],
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kinora-e2e-'))
  receiver = await startReceiver()
  service = await startService(directory, settings())
})
afterAll(async () => {
  await service?.end('SIGKILL')
  receiver?.server.close()
  await rm(directory, { recursive: true, force: true })
})

describe('the main job', () => {
  test('a camera feed is archived, played, detected on, published; its hook waits', async () => {
    const publisher = publishWithFfmpeg({
      path: CLIP,
      url: `${service.rtmpUrl}/cam?key=${KEY}`,
      seconds: 12,
      pace: 'realtime',
    })

    // Live: the session's facts, a chunk that other programs open while it grows, live HLS.
    const live = await eventually(async () => {
      const stream = await getJson<StreamAnswer>(`${service.url}/control/v1/streams/cam`)
      return stream.state === 'live' && stream.archive.bytes > 0 ? stream : null
    })
    expect(live.session?.tracks.map(({ codec }) => codec.split('.')[0])).toEqual(['avc1', 'mp4a'])
    expect(live.session?.tracks[0]?.widthPx).toBe(640)
    const chunk = await eventually(async () => (await findChunks('cam'))[0] ?? null)
    expectOpens(chunk)
    const playlist = await eventually(async () => {
      const response = await fetch(`${service.url}/streams/cam/hls/media.m3u8`)
      const text = await response.text()
      return response.ok && text.includes('#EXTINF') ? text : null
    })
    expect(playlist).not.toContain('#EXT-X-ENDLIST')

    expect(await publisher.ended).toBe(0)
    await eventually(async () => {
      const stream = await getJson<StreamAnswer>(`${service.url}/control/v1/streams/cam`)
      return stream.state === 'idle' ? stream : null
    })

    // Archive range: every frame that was published comes out, evenly spaced.
    const viewed = await decodeUrl(
      `${service.url}/streams/cam/hls/master.m3u8?${RANGE}`,
      AbortSignal.timeout(20_000),
    )
    const published = await decodeUrl(CLIP, AbortSignal.timeout(20_000))
    expect(viewed.videoFrames).toBeGreaterThanOrEqual(published.videoFrames - 3)
    expect(viewed.videoFrames).toBeLessThanOrEqual(published.videoFrames)
    expect(viewed.widthPx).toBe(640)
    expect(viewed.audioPackets).toBeGreaterThan(100)
    const steps = viewed.timesMs.slice(1).map((time, i) => time - viewed.timesMs[i]!)
    expect(Math.max(...steps)).toBeLessThan(70) // 15 fps: 66.7 ms, rounded by RTMP's clock
    expect(Math.min(...steps)).toBeGreaterThan(64)

    // Detections through the control API, with a picture of the moment.
    const { detections } = await eventually(async () => {
      const answer = await getJson<DetectionsAnswer>(
        `${service.url}/control/v1/detections?stream=cam`,
      )
      return answer.detections.length > 0 ? answer : null
    })
    expect(detections[0]).toMatchObject({ streamName: 'cam', detections: [{ label: 'motion' }] })
    const image = await fetch(`${service.url}${detections[0]!.imageUrl}&width=160`)
    const jpeg = Buffer.from(await image.arrayBuffer())
    expect(image.headers.get('content-type')).toBe('image/jpeg')
    expect(jpeg.subarray(0, 2).toString('hex')).toBe('ffd8')

    // The same records through an unmodified SDK client.
    const records = await readRecords(ACCESS_KEY)
    expect(records.length).toBeGreaterThanOrEqual(detections.length)
    expect(records[0]).toMatchObject({ type: 'kinora.detection', streamName: 'cam' })
    await expect(
      readRecords({ ...ACCESS_KEY, secretAccessKey: 'another-secret-access-key-x' }),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } })

    // The receiver is down: the hook has been tried and waits.
    await eventually(async () => {
      const { hooks } = await getJson<{ hooks: { name: string; waiting: number }[] }>(
        `${service.url}/control/v1/service`,
      )
      return hooks.some(({ waiting }) => waiting === 1) ? true : null
    })
    expect(receiver.refused()).toBeGreaterThan(0)
  }, 90_000)

  test('the first signal drains; after a restart the waiting hook is delivered', async () => {
    expect(await service.end('SIGTERM')).toBe(0)
    expect(service.log.some(({ level }) => level === 'error')).toBe(false)
    receiver.comeUp()

    service = await startService(directory, settings())

    const delivery = await eventually(() => receiver.deliveries()[0] ?? null, 40)
    expect(delivery.body).toMatchObject({
      type: 'kinora.detection',
      data: { streamName: 'cam', label: 'motion' },
    })
    const again = await getJson<DetectionsAnswer>(`${service.url}/control/v1/detections?stream=cam`)
    expect(again.detections.length).toBeGreaterThan(0)
  }, 90_000)

  test('metrics and health tell what happened', async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()

    expect(metrics).toMatch(/^kinora_archive_stored_bytes\{stream="cam"\} [1-9]/m)
    expect(metrics).toMatch(/^kinora_process_loop_delay_p99_milliseconds /m)
    expect(await getJson(`${service.url}/healthz`)).toEqual({ status: 'ok' })
  })

  test('after kill -9 while recording, no fragment that was listed is gone', async () => {
    const publisher = publishWithFfmpeg({
      path: CLIP,
      url: `${service.rtmpUrl}/killed?key=${KEY}`,
      seconds: 60,
      pace: 'realtime',
    })
    const listed = await eventually(async () => {
      const response = await fetch(`${service.url}/streams/killed/hls/media.m3u8?${RANGE}`)
      const segments = (await response.text()).match(/segment-\d+\.m4s/g) ?? []
      return segments.length >= 2 ? segments : null
    })

    await service.end('SIGKILL')
    await publisher.ended
    service = await startService(directory, settings())

    const playlist = await fetch(`${service.url}/streams/killed/hls/media.m3u8?${RANGE}`)
    const after = (await playlist.text()).match(/segment-\d+\.m4s/g) ?? []
    expect(after).toEqual(expect.arrayContaining(listed))
    const viewed = await decodeUrl(
      `${service.url}/streams/killed/hls/master.m3u8?${RANGE}`,
      AbortSignal.timeout(20_000),
    )
    expect(viewed.videoFrames).toBeGreaterThan(15 * 3)
    for (const path of await findChunks('killed')) expectOpens(path)
  }, 60_000)

  test('the second signal ends the process at once', async () => {
    // A request that never ends keeps the first signal's drain waiting.
    const port = Number(new URL(service.url).port)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      'POST /control/v1/session HTTP/1.1\r\nHost: localhost\r\n' +
        'Content-Type: application/json\r\nContent-Length: 9\r\n\r\n',
    )
    const cutOff = once(socket.resume(), 'close')
    socket.on('error', () => undefined) // a reset is as good an end
    const ended = once(service.process, 'exit')

    service.process.kill('SIGINT')
    await eventually(async () => ((await refusesConnections(port)) ? true : null))
    expect(service.process.exitCode).toBeNull()
    service.process.kill('SIGINT')

    expect(await ended).toEqual([130, null])
    await cutOff
    service = await startService(directory, settings())
  })
})

describe.runIf(isInstalled('ffmpeg', '-version'))('the ffmpeg command', () => {
  test('pushes as the README says and reads the HLS back without errors', async () => {
    const push = spawnSync('ffmpeg', [
      ...['-v', 'error', '-re', '-t', '6', '-i', CLIP, '-c', 'copy', '-f', 'flv'],
      `${service.rtmpUrl}/ffmpeg?key=${KEY}`,
    ])
    expect(push.stderr.toString().replace(/.*Failed to update header.*\n/g, '')).toBe('')
    expect(push.status).toBe(0)
    const master = `${service.url}/streams/ffmpeg/hls/master.m3u8?${RANGE}`
    await eventually(async () => ((await fetch(master)).ok ? true : null))

    const read = spawnSync('ffmpeg', [
      ...['-v', 'error', '-xerror', '-i', master, '-map', '0', '-f', 'null', '-'],
    ])

    expect(read.stderr.toString()).toBe('')
    expect(read.status).toBe(0)
  }, 40_000)

  test('a wrong key is refused', () => {
    const push = spawnSync('ffmpeg', [
      ...['-v', 'error', '-t', '1', '-i', CLIP, '-c', 'copy', '-f', 'flv'],
      `${service.rtmpUrl}/ffmpeg?key=wrong-test-key`,
    ])

    expect(push.status).not.toBe(0)
  }, 20_000)
})

async function findChunks(stream: string): Promise<string[]> {
  const archive = join(directory, 'data/archive')
  const names = await readdir(archive, { recursive: true })
  return names
    .filter((name) => name.startsWith(stream) && name.endsWith('.mkv'))
    .toSorted()
    .map((name) => join(archive, name))
}

const PROBES = [
  { program: 'ffprobe', args: ['-v', 'error', '-show_streams'] },
  { program: 'mkvinfo', args: [] },
].filter(({ program }) => isInstalled(program, program === 'ffprobe' ? '-version' : '--version'))

function expectOpens(path: string): void {
  for (const { program, args } of PROBES) {
    const { status, stderr } = spawnSync(program, [...args, path])
    expect({ program, status, stderr: stderr.toString() }).toEqual({
      program,
      status: 0,
      stderr: '',
    })
  }
}

async function readRecords(credentials: typeof ACCESS_KEY): Promise<unknown[]> {
  const client = new KinesisClient({
    endpoint: service.url,
    region: 'us-east-1',
    credentials: { ...credentials }, // the client writes into it
    maxAttempts: 1,
  })
  try {
    const StreamName = 'kinora-detections'
    const { Shards } = await client.send(new ListShardsCommand({ StreamName }))
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        StreamName,
        ShardId: Shards![0]!.ShardId,
        ShardIteratorType: 'TRIM_HORIZON',
      }),
    )
    const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }))
    return Records!.map(({ Data }) => JSON.parse(Buffer.from(Data!).toString('utf8')) as unknown)
  } finally {
    client.destroy()
  }
}

async function refusesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

type Receiver = {
  readonly server: Server
  readonly url: string
  comeUp(): void
  refused(): number
  deliveries(): readonly { readonly body: unknown }[]
}

/** Answers 503 until it has come up; then takes only what is signed rightly. */
async function startReceiver(): Promise<Receiver> {
  let up = false
  let refused = 0
  const deliveries: { body: unknown }[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (!up) {
        refused += 1
        response.writeHead(503).end()
        return
      }
      deliveries.push({ body: verify(Buffer.concat(parts), request.headers) })
      response.writeHead(204).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    comeUp: () => void (up = true),
    refused: () => refused,
    deliveries: () => deliveries,
  }
}

function verify(body: Buffer, headers: IncomingHttpHeaders): unknown {
  return new Webhook(HOOK_SECRET).verify(body, headers as Record<string, string>)
}
