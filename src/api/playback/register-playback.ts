import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Log } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Hls, Images, LowLatencyHls } from '../../playback/index.ts'
import type { StreamRegistry } from '../../registry/index.ts'
import { toPlaybackFailure } from './errors.ts'
import { addHlsRoutes } from './hls-routes.ts'
import { addImageRoutes } from './image-routes.ts'
import { addLowLatencyRoutes } from './low-latency-routes.ts'

/** The viewers' edge: HLS and still images of the registered streams. docs/ref/hls.md. */
export type PlaybackOptions = {
  readonly hls: Hls
  readonly lowLatency: LowLatencyHls
  readonly images: Images
  readonly registry: StreamRegistry
  readonly metrics: Metrics
  readonly log: Log
  /** Throws a ServiceError when the request may not see the stream; called before anything else. */
  readonly authorise: (request: FastifyRequest, streamName: string) => void
}

/** Stream names are up to 256 characters: the server needs `routerOptions.maxParamLength` for it. */
export function registerPlayback(fastify: FastifyInstance, options: PlaybackOptions): void {
  // A scope of its own, so that the hooks and the error table stay with these routes.
  void fastify.register((scope, _, done) => {
    addHooks(scope, options)
    addHlsRoutes(scope, options)
    addLowLatencyRoutes(scope, options)
    addImageRoutes(scope, options)
    done()
  })
}

function addHooks(scope: FastifyInstance, { authorise, log }: PlaybackOptions): void {
  scope.addHook('onRequest', async (request, reply) => {
    // Other sites' pages may read what their URL itself gives the right to. Without a token it is
    // the place or the session that does, and no other site may make use of that.
    const { token } = request.query as { token?: unknown }
    if (token !== undefined) void reply.header('access-control-allow-origin', '*')
    void reply.header('x-content-type-options', 'nosniff')
    authorise(request, (request.params as { name: string }).name)
  })

  scope.setErrorHandler((error, request, reply) => {
    const { status, code, message } = toPlaybackFailure(error)
    if (status === 500)
      log.error({ err: error, path: request.url.split('?')[0] }, 'playback failed')
    void reply.status(status).header('cache-control', 'no-store').send({ code, message })
  })
}
