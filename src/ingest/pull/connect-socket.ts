import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../../platform/clock.ts'
import { PACED_HIGH_WATER_MARK } from '../read-pacer.ts'
import { PullError } from './pull.ts'

/**
 * Calls what a URL of RTSP or RTMP names, over TLS where its scheme says so. The socket suits a
 * ReadPacer.
 *
 * @throws PullError `unreachable` or `tls`; the signal's reason
 */
export async function connectSocket(
  target: ConnectTarget,
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted()
  const { url, verifyCertificate, connectTimeoutMs } = target
  const isSecure = SECURE.has(url.protocol)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port === '' ? DEFAULT_PORTS[url.protocol] : url.port)
  const tcp = connect({ host, port, highWaterMark: PACED_HIGH_WATER_MARK } as {
    host: string
    port: number
  })
  const done = new AbortController()
  let hasTcp = false
  let socket: Socket = tcp
  try {
    await new Promise<void>((resolve, reject) => {
      const abandon = () => reject(signal.reason as Error)
      signal.addEventListener('abort', abandon, { once: true, signal: done.signal })
      clock.sleep(connectTimeoutMs, done.signal).then(
        () => reject(new PullError('unreachable', 'The camera cannot be reached in time.')),
        () => undefined, // connected
      )
      tcp.once('error', (error) => reject(toConnectError(error, hasTcp)))
      tcp.once('connect', () => {
        hasTcp = true
        if (!isSecure) {
          resolve()
          return
        }
        // RFC 6066 §3: an address is no server name.
        const servername = isIP(host) === 0 ? { servername: host } : { servername: '' }
        const secure = connectTls({
          socket: tcp,
          ...servername,
          rejectUnauthorized: verifyCertificate,
          // Old firmware; it is the camera's choice how well it hides.
          ...(verifyCertificate ? {} : { minVersion: 'TLSv1' }),
        })
        socket = secure
        secure.once('error', (error: Error) => reject(toConnectError(error, true)))
        secure.once('secureConnect', resolve)
      })
    })
    return socket
  } catch (error) {
    socket.once('error', () => undefined)
    socket.destroy()
    tcp.destroy()
    throw error
  } finally {
    done.abort()
  }
}

export type ConnectTarget = {
  readonly url: URL
  readonly verifyCertificate: boolean
  readonly connectTimeoutMs: number
}

/** By scheme, as registered; of RTMPS as its servers have it. */
const DEFAULT_PORTS: Record<string, number> = {
  'rtsp:': 554,
  'rtsps:': 322,
  'rtmp:': 1935,
  'rtmps:': 443,
}
const SECURE = new Set(['rtsps:', 'rtmps:'])

/** @param hasTcp then it is TLS that failed */
export function toConnectError(error: Error, hasTcp: boolean): PullError {
  const { code = 'unknown' } = error as NodeJS.ErrnoException
  return hasTcp
    ? new PullError('tls', `No secure connection: ${code}.`, error)
    : new PullError('unreachable', `The camera cannot be reached: ${code}.`, error)
}
