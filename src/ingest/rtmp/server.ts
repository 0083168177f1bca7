import { createServer, type DropArgument, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSessions } from '../live-sessions.ts'
import { RtmpConnection } from './connection.ts'
import { PACED_HIGH_WATER_MARK, ReadPacer } from './read-pacer.ts'

/** Takes streams over RTMP, and over RTMPS with `tls`. State is per server: several fit in a process. */
export interface RtmpServer extends AsyncDisposable {
  /** The one it listens on, also when 0 was asked for. */
  readonly port: number
  /** Stops accepting, completes all open fragments, closes all connections. */
  close(): Promise<void>
}

export type RtmpServerOptions = {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** First part of the path of publishing URLs; default `live`. */
  readonly app?: string
  /** Default 1000. */
  readonly maxConnections?: number
  /** From accepting a connection to publishing; default 10,000. */
  readonly handshakeTimeoutMs?: number
  /** A peer from which nothing comes for so long, not even an answer to a ping; default 30,000. */
  readonly idleTimeoutMs?: number
  /** Bytes of one stream waiting for the disk above which its peer is not read from; default 4 MiB. */
  readonly pauseAboveBytes?: number
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
}

const DEFAULTS = {
  app: 'live',
  maxConnections: 1_000,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  pauseAboveBytes: 4 * 1024 * 1024,
}

/** Resolves when it listens; rejects as `listen` fails. */
export async function startRtmpServer(
  deps: IngestDeps & { readonly sessions: LiveSessions },
  options: RtmpServerOptions,
): Promise<RtmpServer> {
  const settings = { ...DEFAULTS, ...definedOnly(options) }
  const protocol = options.tls === undefined ? 'rtmp' : 'rtmps'
  const pacer = new ReadPacer()
  const connections = new Set<RtmpConnection>()
  const sockets = new Set<Socket>()

  const accept = (socket: Socket): void => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    const connection = new RtmpConnection(
      socket,
      { ...deps, pacer },
      { ...settings, protocol, peer },
    )
    connections.add(connection)
    void connection.ended.then(() => connections.delete(connection))
  }

  const server =
    options.tls === undefined
      ? createServer({ highWaterMark: PACED_HIGH_WATER_MARK }, accept)
      : createTlsServer({ ...options.tls, handshakeTimeout: settings.handshakeTimeoutMs }, accept)
  server.maxConnections = settings.maxConnections
  // With TLS this sees the sockets that are still shaking hands, too.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', (error: Error) => deps.log.debug({ err: error }, 'TLS refused'))
  server.on('drop', (dropped?: DropArgument) => {
    deps.events.sessionRefused({
      protocol,
      peer: `${dropped?.remoteAddress}:${dropped?.remotePort}`,
      reason: 'too-many-connections',
      detail: `${settings.maxConnections} are open`,
    })
  })
  await listen(server, settings)
  server.on('error', (error) => deps.log.error({ err: error }, 'RTMP listener failed'))

  let closed: Promise<void> | null = null
  const close = async (): Promise<void> => {
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
    await Promise.all([...connections].map((connection) => connection.shutDown()))
    for (const socket of sockets) socket.destroy()
    await stopped
  }
  return {
    port: portOf(server),
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  }
}

async function listen(server: Server, at: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function definedOnly<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
