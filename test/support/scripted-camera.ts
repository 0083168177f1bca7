import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { encodeFrame, type RtspRequest } from '../../src/ingest/rtsp/message.ts'
import { RtspReader } from '../../src/ingest/rtsp/message-reader.ts'
import { Recorder } from './recorder.ts'

/** What a camera does about one request: the bytes that it sends, or nothing. */
export type CameraScript = (request: CameraRequest, camera: CameraConnection) => void

export type CameraRequest = RtspRequest & {
  readonly cseq: string
  /** The how many-th connection, from 0. */
  readonly connection: number
}

/** One connection to a {@link startScriptedCamera}. */
export class CameraConnection {
  readonly socket: Socket
  readonly port: number
  /** SETUPs that were answered. */
  setups = 0

  constructor(socket: Socket) {
    this.socket = socket
    this.port = socket.localPort!
  }

  /** `head`: start line and headers; \n ends a line, and spaces before it are the test's own. */
  say(head: string, body = ''): void {
    const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
    this.socket.write(`${head.replace(/\n[ \t]*/g, '\r\n')}\r\n${length}\r\n${body}`)
  }

  frame(channel: number, payload: Uint8Array): void {
    this.socket.write(encodeFrame(channel, payload))
  }
}

/** A camera that answers as a test tells it to, on a port of its own. */
export async function startScriptedCamera(
  script: CameraScript,
  options: { readonly tls?: { readonly cert: Buffer; readonly key: Buffer } } = {},
): Promise<ScriptedCamera> {
  const requests = new Recorder<CameraRequest>()
  const gone = new Recorder<number>()
  const frames = new Recorder<{ readonly channel: number; readonly payload: Uint8Array }>()
  const sockets = new Set<Socket>()
  let connections = 0
  const accept = (socket: Socket) => {
    const connection = connections++
    const camera = new CameraConnection(socket)
    const reader = new RtspReader({
      maxHeaderBytes: 65_536,
      maxBodyBytes: 65_536,
      maxGarbageBytes: 0,
    })
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => gone.push(connection))
    socket.on('data', (bytes: Buffer) => {
      reader.push(bytes)
      for (let item = reader.next(); item !== null; item = reader.next()) {
        if (item.kind === 'frame') frames.push(item)
        if (item.kind !== 'request') continue
        const request = { ...item, cseq: item.headers.get('cseq')?.[0] ?? '', connection }
        requests.push(request)
        script(request, camera)
      }
    })
  }
  const server: Server =
    options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    requests,
    gone,
    frames,
    methods: () => requests.items.map(({ method }) => method),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

export type ScriptedCamera = AsyncDisposable & {
  readonly port: number
  readonly requests: Recorder<CameraRequest>
  /** Connections that are closed, by number. */
  readonly gone: Recorder<number>
  readonly frames: Recorder<{ readonly channel: number; readonly payload: Uint8Array }>
  methods(): readonly string[]
}
