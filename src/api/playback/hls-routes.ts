import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../../domain/errors.ts'
import { parseFragmentNumber, type FragmentNumber } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Hls, MediaSegment } from '../../playback/index.ts'
import type { StreamRegistry } from '../../registry/index.ts'
import { ConnectionTurns } from '../connection-turns.ts'
import { parsePlaylistQuery } from './query.ts'

export type HlsRoutesOptions = {
  readonly hls: Hls
  readonly registry: StreamRegistry
  readonly metrics: Metrics
}

/** Playlists, initialization segments and media segments, all below `/streams/<name>/hls/`. */
export function addHlsRoutes(scope: FastifyInstance, options: HlsRoutesOptions): void {
  addPlaylistRoutes(scope, options)
  addMediaRoutes(scope, options)
}

type StreamRequest = FastifyRequest<{
  Params: { name: string; '*': string }
  Querystring: Record<string, unknown>
}>

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl' // RFC 8216 §4
const SEGMENT_TYPE = 'video/iso.segment' // ISO/IEC 14496-12, registered with IANA
const INIT_TYPE = 'video/mp4'

/**
 * Never changes, so it need not be asked for again; but not for ever, since media can be deleted,
 * and not in shared caches, since a playback token expires.
 */
const IMMUTABLE = 'private, max-age=86400, immutable'

function addPlaylistRoutes(scope: FastifyInstance, options: HlsRoutesOptions): void {
  const { hls, registry } = options
  const sendPlaylist = (reply: FastifyReply, playlist: string) =>
    reply.header('cache-control', 'no-cache').type(PLAYLIST_TYPE).send(playlist)

  scope.get('/streams/:name/hls/master.m3u8', async (request: StreamRequest, reply) => {
    const { streamId } = registry.get(request.params.name)
    const { range, playlistQuery } = parsePlaylistQuery(request.query)
    return sendPlaylist(reply, await hls.master(streamId, range, playlistQuery))
  })

  scope.get('/streams/:name/hls/media.m3u8', async (request: StreamRequest, reply) => {
    const { streamId } = registry.get(request.params.name)
    const { range, segmentQuery: query } = parsePlaylistQuery(request.query)
    const playlist =
      range === null
        ? await hls.liveMedia(streamId, { query })
        : await hls.archiveMedia(streamId, range, query)
    return sendPlaylist(reply, playlist)
  })
}

// Wildcards and not parameters: an initialization segment's name is longer than the router allows
// a parameter to be.
function addMediaRoutes(scope: FastifyInstance, options: HlsRoutesOptions): void {
  const { hls, registry, metrics } = options
  const turns = new ConnectionTurns()

  scope.get('/streams/:name/hls/init-*', async (request: StreamRequest, reply) => {
    registry.get(request.params.name)
    const bytes = hls.initSegment(withoutSuffix(request.params['*'], '.mp4'))
    return reply.header('cache-control', IMMUTABLE).type(INIT_TYPE).send(Buffer.from(bytes))
  })

  scope.get('/streams/:name/hls/segment-*', async (request: StreamRequest, reply) => {
    const { streamId, name } = registry.get(request.params.name)
    await turns.take(request.raw, reply.raw)
    const { bytes, release } = await readSegment(hls, streamId, request.params['*'])
    const sentBytes = metrics.playbackBytes.labels({ stream: name, format: 'hls' })
    reply.raw.once('finish', () => {
      if (request.method === 'GET') sentBytes.inc(bytes.length)
      // An HTTP/2 session may go on reading what a stream that was reset had queued.
      if (request.raw.httpVersionMajor === 1) release()
    })
    return reply.header('cache-control', IMMUTABLE).type(SEGMENT_TYPE).send(bytes)
  })
}

async function readSegment(hls: Hls, streamId: StreamId, fileName: string): Promise<MediaSegment> {
  const number = withoutSuffix(fileName, '.m4s')
  if (parseFragmentNumber(number) === null) throw notFound()
  return hls.mediaSegment(streamId, number as FragmentNumber)
}

function withoutSuffix(fileName: string, suffix: string): string {
  if (!fileName.endsWith(suffix)) throw notFound()
  return fileName.slice(0, -suffix.length)
}

function notFound(): ServiceError {
  return new ServiceError('not-found', 'SegmentNotFound', 'No such segment.')
}
