import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { DataStreams } from '../../src/datastream/index.ts'
import { toFragmentNumber } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import type { HookConfig } from '../../src/notify/index.ts'
import type { DetectionRecord } from '../../src/publish/index.ts'
import { Recorder } from '../support/recorder.ts'
import { untilTestEnds } from '../support/scratch.ts'

export const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
/** Whole seconds, a minute ago: receivers refuse what is older than five. */
export const T0 = Math.floor(Date.now() / 1_000) * 1_000 - 60_000

export function hookConfig(change: Partial<HookConfig> = {}): HookConfig {
  return { name: 'hook', url: 'http://127.0.0.1:9/', secret: SECRET, ...change }
}

export function detectionRecord(
  frameOffsetMs: number,
  labels: readonly (readonly [label: string, score: number])[] = [['person', 0.9]],
  serverOffsetMs = frameOffsetMs,
): DetectionRecord {
  const serverTimestamp = epochMs(T0 + serverOffsetMs)
  const fragmentNumber = toFragmentNumber({ counter: 1, serverTimestamp, random28: 0 })
  return {
    type: 'kinora.detection',
    version: 1,
    id: `cam/${fragmentNumber}/${T0 + frameOffsetMs}/m`,
    streamName: 'cam',
    fragmentNumber,
    frameTimestamp: new Date(T0 + frameOffsetMs).toISOString(),
    serverTimestamp: new Date(serverTimestamp).toISOString(),
    model: { name: 'm', version: '1', sha256: 'f'.repeat(64) },
    frame: { widthPx: 480, heightPx: 360 },
    detections: labels.map(([label, score]) => ({
      label,
      score,
      box: { left: 0.1, top: 0.2, width: 0.3, height: 0.4 },
    })),
    imageUrl: `/streams/cam/image.jpg?at=${T0 + frameOffsetMs}`,
  }
}

export async function putRecords(
  dataStreams: DataStreams,
  stream: string,
  records: readonly unknown[],
): Promise<void> {
  await dataStreams.put(
    stream,
    records.map((record) => ({
      data: Buffer.from(JSON.stringify(record)),
      partitionKey: 'cam',
    })),
  )
}

export type ReceivedHook = {
  readonly id: string
  readonly label: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type Answer = (response: ServerResponse, received: ReceivedHook) => void
export const answer =
  (status: number, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, headers).end('thanks')
  }

/** A receiver that verifies signatures and answers by script; the last answer repeats. */
export async function startReceiver(
  script: Answer[] = [answer(204)],
  options: { secret?: string; port?: number } = {},
) {
  const webhook = new Webhook(options.secret ?? SECRET)
  const received = new Recorder<ReceivedHook>()
  const failures: unknown[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString()
      const headers = request.headers
      try {
        webhook.verify(body, headers as Record<string, string>)
      } catch (error) {
        failures.push(error)
      }
      const { data } = JSON.parse(body) as { data: { label: string } }
      const hook = { id: String(headers['webhook-id']), label: data.label, headers, body }
      const next = script.length > 1 ? script.shift()! : script[0]!
      next(response, hook)
      received.push(hook)
    })
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = untilTestEnds({
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  const ids = () => received.items.map(({ id }) => id)
  return { url: `http://127.0.0.1:${port}/hook?a=b`, port, received, failures, ids, stop }
}
