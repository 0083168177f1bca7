import { createServer, type DropArgument, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import { toAddressKey } from './login-limiter.ts'
import { PACED_HIGH_WATER_MARK } from './read-pacer.ts'
import type { IngestProtocol } from './session-info.ts'

/** A port that publishers connect to, whatever they speak; plain, or TLS with `tls`. */
export interface Listener extends AsyncDisposable {
  /** The one it listens on, also when 0 was asked for. */
  readonly port: number
  /** Stops accepting, shuts all connections down, closes all sockets. */
  close(): Promise<void>
}

export type ListenerConnection = {
  /** It has proved that it may publish. */
  readonly isAuthorised: boolean
  /** Resolves when it is closed and what it published is persisted or given up. */
  readonly ended: Promise<void>
  shutDown(): Promise<void>
}

export type ListenerOptions = {
  readonly protocol: IngestProtocol
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly maxConnections: number
  /** Of TLS. */
  readonly handshakeTimeoutMs: number
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
}

/**
 * Resolves when it listens; rejects as `listen` fails.
 *
 * @param accept gets sockets that suit a ReadPacer, and the peer's address and port
 */
export async function startListener(
  { events, log }: { readonly events: Events; readonly log: Log },
  options: ListenerOptions,
  accept: (socket: Socket, peer: string) => ListenerConnection,
): Promise<Listener> {
  const { protocol, maxConnections } = options
  const connections = new Set<ListenerConnection>()
  const sockets = new Set<Socket>()
  const byAddress = new Map<string, Set<ListenerConnection>>()
  const take = (socket: Socket): void => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    const address = toAddressKey(socket.remoteAddress ?? '')
    const siblings = byAddress.get(address) ?? new Set()
    if (countStrangers(siblings) >= MAX_STRANGERS_PER_ADDRESS) {
      const detail = `${MAX_STRANGERS_PER_ADDRESS} of its address are open and do not publish`
      events.sessionRefused({ protocol, peer, reason: 'too-many-connections', detail })
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    const connection = accept(socket, peer)
    connections.add(connection)
    byAddress.set(address, siblings.add(connection))
    void connection.ended.then(() => {
      connections.delete(connection)
      siblings.delete(connection)
      if (siblings.size === 0) byAddress.delete(address)
    })
  }
  const server =
    options.tls === undefined
      ? createServer({ highWaterMark: PACED_HIGH_WATER_MARK }, take)
      : createTlsServer({ ...options.tls, handshakeTimeout: options.handshakeTimeoutMs }, take)
  server.maxConnections = maxConnections
  // With TLS this sees the sockets that are still shaking hands, too.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', (error: Error) => log.debug({ err: error }, 'TLS refused'))
  server.on('drop', (dropped?: DropArgument) => {
    events.sessionRefused({
      protocol,
      peer: `${dropped?.remoteAddress}:${dropped?.remotePort}`,
      reason: 'too-many-connections',
      detail: `${maxConnections} are open`,
    })
  })
  await listen(server, options)
  server.on('error', (error) => log.error({ err: error, protocol }, 'listener failed'))

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

/**
 * A flood from one address takes so many places, and leaves the others' alone; a site with hundreds of
 * encoders behind one address is not told apart from it only while they all connect at once.
 */
const MAX_STRANGERS_PER_ADDRESS = 100

function countStrangers(connections: ReadonlySet<ListenerConnection>): number {
  if (connections.size < MAX_STRANGERS_PER_ADDRESS) return connections.size
  let count = 0
  for (const { isAuthorised } of connections) if (!isAuthorised) count++
  return count
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
