import { DEFAULT_PAUSE_ABOVE_BYTES } from '../disk-throttle.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import { startListener, type Listener } from '../listener.ts'
import type { LiveSessions } from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import { ReadPacer } from '../read-pacer.ts'
import { RtspConnection } from './connection.ts'
import type { UdpPortRange } from './udp-ports.ts'

export type RtspServerDeps = IngestDeps & {
  readonly sessions: LiveSessions
  /** Of all protocols. */
  readonly loginLimiter: LoginLimiter
}

export type RtspServerOptions = {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Servers may share a range; `null`: UDP is refused, and most clients then take TCP. */
  readonly udpPorts?: UdpPortRange | null
  /** Default 1000. */
  readonly maxConnections?: number
  /** From accepting a connection to recording; default 10,000. */
  readonly handshakeTimeoutMs?: number
  /** A publisher from which no RTP and no RTCP comes for so long is gone; default 10,000. */
  readonly mediaTimeoutMs?: number
  /** A peer that has paused and asks nothing for so long is gone; default 60,000. */
  readonly idleTimeoutMs?: number
  /** Bytes of one stream waiting for the disk above which its peer is not read from; default 4 MiB. */
  readonly pauseAboveBytes?: number
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
}

const DEFAULTS = {
  udpPorts: null,
  maxConnections: 1_000,
  handshakeTimeoutMs: 10_000,
  mediaTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  pauseAboveBytes: DEFAULT_PAUSE_ABOVE_BYTES,
}

/**
 * Takes pushed streams (ANNOUNCE, RECORD) over RTSP, and over RTSPS with `tls`. State is per server:
 * several fit in a process. Resolves when it listens; rejects as `listen` fails.
 */
export async function startRtspServer(
  deps: RtspServerDeps,
  options: RtspServerOptions,
): Promise<Listener> {
  const protocol = options.tls === undefined ? 'rtsp' : 'rtsps'
  const settings = { ...DEFAULTS, ...options, protocol } as const
  const pacer = new ReadPacer()
  return startListener(
    deps,
    settings,
    (socket, peer) => new RtspConnection(socket, { ...deps, pacer }, { ...settings, peer }),
  )
}
