import { once, setMaxListeners } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http'
import {
  createSecureServer,
  createServer as createHttp2Server,
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net'
import type { Log } from '../observe/log.ts'
import type { Clock } from '../platform/clock.ts'

/** A request of either protocol; Node's HTTP/2 compatibility API makes them look alike. */
export type HttpRequest = IncomingMessage | Http2ServerRequest
export type HttpResponse = ServerResponse | Http2ServerResponse

export type HttpServerOptions = {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** PEM. With it the port speaks TLS only. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** A rejection is logged and answered with a bare 500, or ends the response that has begun. */
  readonly onRequest: (request: HttpRequest, response: HttpResponse) => void | Promise<void>
  readonly log: Log
  readonly clock: Clock
  /** A connection that says nothing at first is closed. */
  readonly firstBytesTimeoutMs?: number
  /** Time for all headers of an HTTP/1.1 request. There is none for bodies: PutMedia never ends. */
  readonly headersTimeoutMs?: number
  /** An HTTP/2 session without streams is ended, an HTTP/1.1 connection between requests closed. */
  readonly idleTimeoutMs?: number
}

export type RunningHttpServer = {
  readonly port: number
  /** Connections that are open now. */
  readonly connections: () => number
  /**
   * Stops accepting, tells HTTP/2 peers to go away, lets requests in flight finish for `graceMs`,
   * then cuts what is left.
   */
  readonly close: (graceMs: number) => Promise<void>
}

/** No HTTP/1.1 method starts like the HTTP/2 connection preface (RFC 9113 §3.4), `PRI * HTTP/2.0`. */
const PREFACE = Buffer.from('PRI')
/** The SDK's default client opens a connection per request. */
const BACKLOG = 1024
const MAX_CONCURRENT_STREAMS = 256
/** A PutRecords body of 14 MiB should not wait for a window update every 64 KiB. */
const STREAM_WINDOW_BYTES = 1024 * 1024
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024
const LINGER_MS = 5_000

/**
 * The one HTTP port: HTTP/1.1 and HTTP/2 on the same socket. Without TLS the first three bytes
 * decide (HTTP/2 with prior knowledge, RFC 9113 §3.3); with TLS, ALPN does. Requests of both go to
 * `onRequest`. Bad frames, resets and half requests end their own connection only.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const { clock, log } = options
  const idleTimeoutMs = options.idleTimeoutMs ?? 60_000
  const headersTimeoutMs = options.headersTimeoutMs ?? 60_000
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // one per connection that has said nothing yet

  const http1Options = {
    requestTimeout: 0,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(5_000, headersTimeoutMs),
    keepAliveTimeout: idleTimeoutMs,
  }
  const http2Options = {
    settings: {
      maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
      initialWindowSize: STREAM_WINDOW_BYTES,
    },
  }
  const { tls } = options
  const listener = tls === undefined ? createCleartext() : createEncrypted(tls)

  function createEncrypted(keys: { cert: string; key: string }): Listener {
    const server = createSecureServer({
      ...http1Options,
      ...http2Options,
      ...keys,
      allowHTTP1: true,
    })
    serveHttp2(server)
    server.on('tlsClientError', (_error, socket: Socket) => socket.destroy())
    // Types of Node 20 do not know what a server for both protocols has of the older one.
    const { closeIdleConnections } = server as unknown as Partial<HttpServer>
    return { server, closeIdle: () => closeIdleConnections?.call(server as never) }
  }

  function createCleartext(): Listener {
    const http1 = createHttpServer(http1Options, serve)
    http1.on('clientError', (_error, socket) => refuseBadRequest(socket as Socket))
    // It never listens itself, and minds its header timeouts only once it was told that it does.
    http1.emit('listening')
    const http2 = createHttp2Server(http2Options)
    serveHttp2(http2)
    const server = createTcpServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      sniff(socket, options.firstBytesTimeoutMs ?? 10_000, stopping.signal, (isHttp2) => {
        socket.allowHalfOpen = !isHttp2
        const protocol = isHttp2 ? http2 : http1
        protocol.emit('connection', socket)
      })
    })
    server.once('close', () => http1.close())
    return { server, closeIdle: () => http1.closeIdleConnections() }
  }

  function serveHttp2(server: Http2Server | Http2SecureServer): void {
    server.on('request', serve)
    server.on('session', (session: ServerHttp2Session) => {
      sessions.add(session)
      session.once('close', () => sessions.delete(session))
      session.on('error', (error) => log.debug({ err: error }, 'HTTP/2 session failed'))
      session.setLocalWindowSize(SESSION_WINDOW_BYTES)
      endWhenIdle(session, idleTimeoutMs)
      if (stopping.signal.aborted) session.close()
    })
  }

  function serve(request: HttpRequest, response: HttpResponse): void {
    response.once('close', () => {
      if (stopping.signal.aborted) setImmediate(listener.closeIdle)
    })
    void answer(request, response)
  }

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    try {
      await options.onRequest(request, response)
    } catch (error) {
      log.error({ err: error }, 'request failed')
      failResponse(response)
    }
  }

  listener.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    // A peer that does not close after us would keep the descriptor for ever.
    socket.once('finish', () => socket.setTimeout(LINGER_MS, () => socket.destroy()))
  })
  listener.server.listen({ host: options.host, port: options.port, backlog: BACKLOG })
  await once(listener.server, 'listening') // rejects on 'error'
  listener.server.on('error', (error) => log.error({ err: error }, 'HTTP port failed'))

  return {
    port: (listener.server.address() as AddressInfo).port,
    connections: () => sockets.size,
    close: async (graceMs) => {
      const closed = listener.server.listening
        ? new Promise((resolve) => listener.server.close(resolve))
        : Promise.resolve()
      stopping.abort(new Error('the HTTP port is closing'))
      for (const session of sessions) session.close() // GOAWAY; ends with its last stream
      listener.closeIdle()
      const emptied = new AbortController()
      const cut = clock.sleep(graceMs, emptied.signal).then(
        () => sockets.forEach((socket) => socket.destroy()),
        () => undefined,
      )
      await closed // with all its connections, though some have yet to say so
      await Promise.all([...sockets].map(untilClosed))
      emptied.abort()
      await cut
    },
  }
}

type Listener = {
  readonly server: Server
  /** Closes HTTP/1.1 connections between requests. */
  readonly closeIdle: () => void
}

async function untilClosed(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

/** RFC 9113 §9.1: a server may end an idle connection, with GOAWAY. */
function endWhenIdle(session: ServerHttp2Session, idleTimeoutMs: number): void {
  let openStreams = 0
  session.on('stream', (stream) => {
    openStreams += 1
    stream.once('close', () => (openStreams -= 1))
  })
  session.setTimeout(idleTimeoutMs, () => {
    if (openStreams === 0) session.destroy()
  })
}

/**
 * Reads until it is clear whose connection it is, puts the bytes back and says so. The three bytes
 * that decide need not come in one segment.
 */
function sniff(
  socket: Socket,
  timeoutMs: number,
  stopping: AbortSignal,
  decided: (isHttp2: boolean) => void,
): void {
  let seen: Buffer = Buffer.alloc(0)
  const giveUp = () => socket.destroy()
  const onReadable = () => {
    const bytes = socket.read() as Buffer | null
    if (bytes === null) return
    seen = Buffer.concat([seen, bytes])
    const compared = Math.min(seen.length, PREFACE.length)
    const matches = seen.subarray(0, compared).equals(PREFACE.subarray(0, compared))
    if (matches && compared < PREFACE.length) return
    socket.off('readable', onReadable)
    socket.off('end', giveUp)
    socket.off('close', forget)
    forget()
    socket.setTimeout(0, giveUp)
    socket.unshift(seen)
    decided(matches)
  }
  const forget = () => stopping.removeEventListener('abort', giveUp)
  stopping.addEventListener('abort', giveUp)
  socket.setTimeout(timeoutMs, giveUp)
  socket.on('end', giveUp)
  socket.on('close', forget)
  socket.on('readable', onReadable)
}

function refuseBadRequest(socket: Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  else socket.destroy()
}

function failResponse(response: HttpResponse): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.statusCode = 500
  response.end()
}
