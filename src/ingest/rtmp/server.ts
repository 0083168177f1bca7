import { DEFAULT_PAUSE_ABOVE_BYTES } from '../disk-throttle.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import { startListener, type Listener } from '../listener.ts'
import type { LiveSessions } from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import { RtmpConnection } from './connection.ts'
import { ReadPacer } from '../read-pacer.ts'

export type RtmpServerDeps = IngestDeps & {
  readonly sessions: LiveSessions
  /** Of all protocols. */
  readonly loginLimiter: LoginLimiter
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
  pauseAboveBytes: DEFAULT_PAUSE_ABOVE_BYTES,
}

/**
 * Takes streams over RTMP, and over RTMPS with `tls`. State is per server: several fit in a process.
 * Resolves when it listens; rejects as `listen` fails.
 */
export async function startRtmpServer(
  deps: RtmpServerDeps,
  options: RtmpServerOptions,
): Promise<Listener> {
  const protocol = options.tls === undefined ? 'rtmp' : 'rtmps'
  const settings = { ...DEFAULTS, ...options, protocol } as const
  const pacer = new ReadPacer()
  return startListener(
    deps,
    settings,
    (socket, peer) => new RtmpConnection(socket, { ...deps, pacer }, { ...settings, peer }),
  )
}
