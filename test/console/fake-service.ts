import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DetectionRecord, ServiceStatus, StreamStatus } from '../../src/console/api-types.ts'

/** Where the build puts the console. */
export const CONSOLE_DIRECTORY = fileURLToPath(new URL('../../dist/console', import.meta.url))

/** What the control API answers; a test changes it while the page runs. */
export type FakeState = {
  streams: StreamStatus[]
  service: ServiceStatus
  detections: (query: URLSearchParams) => readonly DetectionRecord[]
  /** Files below `/streams/<name>/hls/`; `null`: 404. */
  hlsDirectory: string | null
  image: { readonly type: string; readonly bytes: Buffer } | null
  adminToken: string | null
  isDown: boolean
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.m4s': 'video/iso.segment',
  '.mp4': 'video/mp4',
}
/** The one that the service sends: what the page needs must work under it. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; " +
  "img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

/** Serves the built console with a control API of made-up answers, on loopback. */
export async function startFakeService(state: FakeState) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    void answer(state, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(state: FakeState, request: IncomingMessage, response: ServerResponse) {
  const { pathname, searchParams } = new URL(request.url!, 'http://localhost')
  const json = (status: number, body: unknown, headers = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body))
  const failure = (status: number, message: string) => json(status, { code: 'Code', message })

  if (pathname.startsWith('/control/') && state.isDown) {
    failure(503, 'The service is starting.')
    return
  }
  if (pathname === '/control/v1/session') {
    const { token } = (await readBody(request)) as { token: string }
    if (token !== state.adminToken) failure(401, 'This is not the admin token.')
    else response.writeHead(204, { 'set-cookie': 'session=1; Path=/; HttpOnly' }).end()
    return
  }
  const isSignedIn = state.adminToken === null || request.headers.cookie === 'session=1'
  if (pathname.startsWith('/control/') && !isSignedIn) {
    failure(401, 'Sign in with the admin token.')
    return
  }
  switch (pathname) {
    case '/control/v1/service':
      json(200, state.service)
      return
    case '/control/v1/streams':
      if (request.method === 'POST') {
        const { name } = (await readBody(request)) as { name: string }
        const stream = { ...fakeStream(name, 'idle'), archive: NO_MEDIA }
        state.streams.push(stream)
        const publishUrl = `${state.service.rtmpUrl}/${name}?key=made-up-key`
        json(201, { stream, publishKey: 'made-up-key', publishUrl })
        return
      }
      json(200, { streams: state.streams })
      return
    case '/control/v1/detections':
      json(200, { detections: state.detections(searchParams) })
      return
  }
  const hlsFile = /^\/streams\/[^/]+\/hls\/([\w.-]+)$/.exec(pathname)?.[1]
  if (hlsFile !== undefined && state.hlsDirectory !== null) {
    sendFile(response, join(state.hlsDirectory, hlsFile))
    return
  }
  if (pathname.endsWith('/image.jpg') && state.image !== null) {
    response.writeHead(200, { 'content-type': state.image.type }).end(state.image.bytes)
    return
  }
  sendFile(response, join(CONSOLE_DIRECTORY, pathname === '/' ? 'index.html' : normalize(pathname)))
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return JSON.parse(Buffer.concat(parts).toString())
}

const NO_MEDIA = { chunks: 0, bytes: 0, oldest: null, newest: null }

function sendFile(response: ServerResponse, path: string): void {
  if (!existsSync(path)) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not there."}')
    return
  }
  response
    .writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'cache-control': 'no-cache',
    })
    .end(readFileSync(path))
}

export function fakeState(change: Partial<FakeState> = {}): FakeState {
  const now = Date.now()
  return {
    streams: [
      fakeStream('front-door', 'live'),
      fakeStream('parking-lot-north', 'idle'),
      { ...fakeStream('garage', 'idle'), archive: NO_MEDIA },
    ],
    service: {
      version: '0.1.0',
      publicUrl: 'http://127.0.0.1:8080',
      rtmpUrl: 'rtmp://127.0.0.1:1935/live',
      model: { name: 'yolox-nano', labels: ['person', 'car', 'truck'] },
      hooks: [{ name: 'phone', waiting: 0, delivered: 12, failed: 0, disabled: false }],
    },
    detections: (query) => fakeDetections(query, now),
    hlsDirectory: null,
    image: {
      type: 'image/svg+xml',
      bytes: Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="150"><rect width="240" height="150" fill="#345"/></svg>',
      ),
    },
    adminToken: null,
    isDown: false,
    ...change,
  }
}

export function fakeStream(name: string, state: 'live' | 'idle'): StreamStatus {
  const now = Date.now()
  return {
    name,
    createdAt: new Date(now - 86_400_000 * 3).toISOString(),
    retentionHours: 168,
    state,
    source: null,
    session:
      state === 'idle'
        ? null
        : {
            protocol: 'rtmp',
            peer: '192.168.1.40:51544',
            startedAt: new Date(now - 3_900_000).toISOString(),
            tracks: [
              {
                kind: 'video',
                codecId: 'V_MPEG4/ISO/AVC',
                codec: 'avc1.4d401e',
                widthPx: 480,
                heightPx: 360,
              },
              {
                kind: 'audio',
                codecId: 'A_AAC',
                codec: 'mp4a.40.2',
                sampleRateHz: 48_000,
                channels: 2,
              },
            ],
            bitrateBps: 512_300,
            framesPerSecond: 10,
            gop: { lastMs: 2_000, maxMs: 2_040 },
            clock: { source: 'arrival', driftPpm: 11.6 },
            transport: null,
            losses: 0,
            dropped: {},
            reconnects: { count: 3, lastReason: 'connection-error' },
          },
    archive: {
      chunks: 214,
      bytes: 5_310_000_000,
      oldest: now - 86_400_000 * 3,
      newest: state === 'live' ? now - 2_000 : now - 5_400_000,
    },
  }
}

/** A person who walks from left to right every 12 s and a car now and then, 5 frames a second. */
export function fakeDetections(query: URLSearchParams, since: number): DetectionRecord[] {
  const now = Date.now()
  const from = Number(query.get('from') ?? since - 60_000)
  const to = Number(query.get('to') ?? now)
  const streamName = query.get('stream') ?? 'front-door'
  if (streamName !== 'front-door') return []
  const records: DetectionRecord[] = []
  for (let at = Math.floor(to / 200) * 200; at >= from && records.length < 200; at -= 200) {
    const phase = (at % 12_000) / 12_000
    const detections = []
    if (phase < 0.55) {
      const box = { left: phase * 1.4, top: 0.35, width: 0.12, height: 0.42 }
      detections.push({ label: 'person', score: 0.62 + phase / 2, box })
    }
    if (at % 40_000 < 6_000) {
      detections.push({
        label: 'car',
        score: 0.71,
        box: { left: 0.58, top: 0.12, width: 0.25, height: 0.2 },
      })
    }
    if (detections.length === 0) continue
    records.push({
      id: `${streamName}/${at}`,
      streamName,
      frameTimestamp: new Date(at).toISOString(),
      model: { name: 'yolox-nano' },
      detections,
      imageUrl: `/streams/${streamName}/image.jpg?at=${at}`,
    })
  }
  return records
}
