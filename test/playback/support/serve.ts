import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { registerPlayback } from '../../../src/api/playback/index.ts'
import type { Archive } from '../../../src/archive/index.ts'
import { ServiceError } from '../../../src/domain/errors.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { silentLog } from '../../../src/observe/log.ts'
import { createMetrics, type Metrics } from '../../../src/observe/metrics.ts'
import { systemClock, type Clock } from '../../../src/platform/clock.ts'
import {
  createHls,
  createLowLatencyHls,
  createPlayableAudio,
  type Images,
} from '../../../src/playback/index.ts'
import {
  STREAM_DEFAULTS,
  type StreamInfo,
  type StreamRegistry,
} from '../../../src/registry/index.ts'

export type ServedPlayback = AsyncDisposable & {
  readonly fastify: FastifyInstance
  readonly metrics: Metrics
  /** Of the stream's HLS folder, with a slash at its end. */
  readonly baseUrl: string
}

/** The playback edge on a loopback port, over an archive, with one stream named `camera`. */
export async function servePlayback(options: {
  readonly archive: Archive
  readonly streamId: StreamId
  readonly clock?: Clock
  readonly authorise?: (request: FastifyRequest, streamName: string) => void
  /** More routes on the same port. */
  readonly prepare?: (fastify: FastifyInstance) => void
}): Promise<ServedPlayback> {
  const { archive, streamId, clock = systemClock, authorise = () => undefined } = options
  const metrics = createMetrics()
  const audio = createPlayableAudio({ archive, metrics })
  const lowLatency = createLowLatencyHls({ archive, source: audio, clock })
  const server = fastify({ routerOptions: { maxParamLength: 256 } })
  registerPlayback(server, {
    hls: createHls({ archive, source: audio, clock }),
    lowLatency,
    images: noImages,
    registry: oneStream(streamId),
    metrics,
    log: silentLog,
    authorise,
  })
  options.prepare?.(server)
  const address = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    fastify: server,
    metrics,
    baseUrl: `${address}/streams/camera/hls/`,
    async [Symbol.asyncDispose]() {
      await lowLatency[Symbol.asyncDispose]()
      await server.close()
      await audio[Symbol.asyncDispose]()
    },
  }
}

function oneStream(streamId: StreamId): StreamRegistry {
  const info: StreamInfo = {
    ...STREAM_DEFAULTS,
    streamId,
    name: 'camera',
    createdAt: epochMs(0),
    retentionHours: 1,
    version: '1',
  }
  const find = (name: string) => (name === info.name ? info : null)
  const unused = () => Promise.reject(new Error('not part of playback'))
  return {
    list: () => [info],
    find,
    findById: (id) => (id === streamId ? info : null),
    get: (name) => {
      const found = find(name)
      if (found === null) throw new ServiceError('not-found', 'StreamNotFound', 'No such stream.')
      return found
    },
    create: unused,
    update: unused,
    delete: unused,
    acceptsPublishKey: () => false,
    publishDigest: () => '',
  }
}

const noImages: Images = {
  imageAt: () => Promise.reject(new ServiceError('not-found', 'NoMedia', 'No picture.')),
  imagesAt: () => Promise.resolve([]),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}
