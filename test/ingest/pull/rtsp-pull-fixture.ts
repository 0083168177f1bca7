import { pullRtsp } from '../../../src/ingest/pull/pull-rtsp.ts'
import type { PullError, PullTarget } from '../../../src/ingest/pull/pull.ts'
import type { LiveSession } from '../../../src/ingest/live-sessions.ts'
import type { IngestDeps } from '../../../src/ingest/index.ts'
import { Recorder } from '../../support/recorder.ts'
import { H264_SDP, keyFrame, toIndexes } from '../../support/rtsp-client.ts'
import {
  startScriptedCamera,
  type CameraConnection,
  type CameraRequest,
  type CameraScript,
} from '../../support/scripted-camera.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { openIngestFixture } from '../ingest-fixture.ts'

/** One attempt at a pull into {@link openIngestFixture}, and what became of it. */
export async function startPull(
  target: Partial<PullTarget> & Pick<PullTarget, 'url'>,
  replace?: (deps: IngestDeps) => Partial<IngestDeps>,
) {
  const fixture = await openIngestFixture(replace)
  const publishing = new Recorder<LiveSession>()
  const stop = new AbortController()
  const ended = pullRtsp(
    {
      ...{ stream: 'x', credentials: null, transport: 'auto', verifyCertificate: true },
      ...{ connectTimeoutMs: 5_000, stallTimeoutMs: 5_000, ...target },
    },
    { ...fixture.deps, onPublishing: publishing.push },
    stop.signal,
  ).then(
    () => null,
    (error: unknown) => error as PullError,
  )
  return {
    ...fixture,
    publishing,
    /** `null`: it has left because it was told to. */
    ended,
    async stop() {
      stop.abort('shutdown')
      return ended
    },
    indexes: async () => toIndexes((await fixture.stored()).flatMap(({ samples }) => samples)),
  }
}

/** What a camera does differently from one that does all right. */
export type CameraQuirks = {
  readonly options?: (request: CameraRequest) => string
  readonly describe?: (request: CameraRequest, port: number) => readonly [head: string, sdp: string]
  readonly setup?: (request: CameraRequest, nth: number) => string
  readonly play?: (request: CameraRequest, port: number) => string
  /** Before the answer to a request. */
  readonly before?: (request: CameraRequest, camera: CameraConnection) => void
  /** After the answer to PLAY; by default three key frames. */
  readonly media?: (camera: CameraConnection) => void
  /** Takes the request over: nothing else is said about it. */
  readonly instead?: (request: CameraRequest, camera: CameraConnection) => boolean
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer }
}

export const PUBLIC = 'OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN'

export async function startCamera(quirks: CameraQuirks = {}) {
  const script: CameraScript = (request, camera) => {
    if (quirks.instead?.(request, camera) ?? false) return
    quirks.before?.(request, camera)
    const { method, cseq } = request
    const ok = `RTSP/1.0 200 OK\nCSeq: ${cseq}`
    if (method === 'OPTIONS') camera.say(quirks.options?.(request) ?? `${ok}\nPublic: ${PUBLIC}`)
    else if (method === 'DESCRIBE') {
      const plain = [`${ok}\nContent-Type: application/sdp`, H264_SDP] as const
      camera.say(...(quirks.describe?.(request, camera.port) ?? plain))
    } else if (method === 'SETUP') {
      const asked = request.headers.get('transport')![0]!
      const nth = camera.setups++
      camera.say(quirks.setup?.(request, nth) ?? `${ok}\nSession: 42\nTransport: ${asked}`)
    } else if (method === 'PLAY') {
      camera.say(quirks.play?.(request, camera.port) ?? `${ok}\nSession: 42`)
      const sendThree = () => {
        for (const index of [0, 1, 2]) sendKeyFrame(camera, index)
      }
      if (quirks.media === undefined) sendThree()
      else quirks.media(camera)
    } else camera.say(ok)
  }
  const { tls } = quirks
  const camera = untilTestEnds(await startScriptedCamera(script, tls === undefined ? {} : { tls }))
  return {
    ...camera,
    url: (path = '/live') =>
      new URL(`${tls === undefined ? 'rtsp' : 'rtsps'}://127.0.0.1:${camera.port}${path}`),
    /** URLs of the requests with this method. */
    urls: (method: string) =>
      camera.requests.items.filter((each) => each.method === method).map(({ uri }) => uri),
    headers: (method: string, name: string) =>
      camera.requests.items
        .filter((each) => each.method === method)
        .map(({ headers }) => headers.get(name)?.[0] ?? null),
  }
}

/** A second apart. */
export function sendKeyFrame(camera: CameraConnection, index: number, ssrc?: number): void {
  for (const packet of keyFrame(index, index * 90_000, ssrc)) camera.frame(0, packet)
}
