import { toClientHost, type Config } from './config/index.ts'
import { startRtspServer, UdpPortRange, type RtspServerDeps } from './ingest/index.ts'
import { blaming } from './start-failure.ts'

/** RTSP, and RTSPS beside it when there is a certificate; they share the UDP ports. */
export interface RtspServers extends AsyncDisposable {
  /** rtsp://host:port/live; `null` when RTSP is off. */
  readonly url: string | null
}

/** @throws ServiceError `unavailable`/`CannotStart` naming the setting */
export async function startRtspServers(
  deps: RtspServerDeps,
  config: Config['rtsp'],
  tls: { readonly cert: string; readonly key: string } | null,
): Promise<RtspServers> {
  const { host, port, tlsPort, maxConnections } = config
  if (!config.enabled) return { url: null, [Symbol.asyncDispose]: async () => undefined }
  const udpPorts = config.udp
    ? new UdpPortRange({ first: config.udpFirstPort, last: config.udpLastPort })
    : null
  const options = { host, udpPorts, maxConnections }
  const plain = await blaming('rtsp.host, rtsp.port', () =>
    startRtspServer(deps, { ...options, port }),
  )
  try {
    const secure =
      tls === null
        ? null
        : await blaming('rtsp.host, rtsp.tlsPort', () =>
            startRtspServer(deps, { ...options, port: tlsPort, tls }),
          )
    return {
      url: `rtsp://${toClientHost(host)}:${plain.port}/live`,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([plain.close(), secure?.close()])
      },
    }
  } catch (error) {
    await plain.close()
    throw error
  }
}
