import { toClientHost, type Config } from './config/index.ts'
import { startRtmpServer, type RtmpServerDeps } from './ingest/index.ts'
import { blaming } from './start-failure.ts'

/** RTMP, and RTMPS beside it when there is a certificate. */
export interface RtmpServers extends AsyncDisposable {
  /** rtmp://host:port/app; `null` when RTMP is off. */
  readonly url: string | null
}

/** @throws ServiceError `unavailable`/`CannotStart` naming the setting */
export async function startRtmpServers(
  deps: RtmpServerDeps,
  config: Config['rtmp'],
  tls: { readonly cert: string; readonly key: string } | null,
): Promise<RtmpServers> {
  const { enabled, host, port, tlsPort, app, maxConnections } = config
  if (!enabled) return { url: null, [Symbol.asyncDispose]: async () => undefined }
  const options = { host, app, maxConnections }
  const plain = await blaming('rtmp.host, rtmp.port', () =>
    startRtmpServer(deps, { ...options, port }),
  )
  try {
    const secure =
      tls === null
        ? null
        : await blaming('rtmp.host, rtmp.tlsPort', () =>
            startRtmpServer(deps, { ...options, port: tlsPort, tls }),
          )
    return {
      url: `rtmp://${toClientHost(host)}:${plain.port}/${app}`,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([plain.close(), secure?.close()])
      },
    }
  } catch (error) {
    await plain.close()
    throw error
  }
}
