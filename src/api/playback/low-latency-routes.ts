import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../../domain/errors.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { LowLatencyHls, LowLatencyRequest, PartPosition } from '../../playback/index.ts'
import type { StreamRegistry } from '../../registry/index.ts'
import { parsePlaylistQuery } from './query.ts'

export type LowLatencyRoutesOptions = {
  readonly lowLatency: LowLatencyHls
  readonly registry: StreamRegistry
  readonly metrics: Metrics
}

type StreamRequest = FastifyRequest<{
  Params: { name: string; '*': string }
  Querystring: Record<string, unknown>
}>

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl' // RFC 8216 §4
const PART_TYPE = 'video/iso.segment'
/** As long as a playlist may name it; a number may mean other media after that. */
const PART_CACHE = 'private, max-age=60'

/** Low-latency playlists and parts, beside the other HLS of a stream. */
export function addLowLatencyRoutes(
  scope: FastifyInstance,
  { lowLatency, registry, metrics }: LowLatencyRoutesOptions,
): void {
  const sendPlaylist = (reply: FastifyReply, playlist: string) =>
    reply.header('cache-control', 'no-cache').type(PLAYLIST_TYPE).send(playlist)

  scope.get('/streams/:name/hls/low-latency.m3u8', async (request: StreamRequest, reply) => {
    const { streamId } = registry.get(request.params.name)
    const { segmentQuery } = parsePlaylistQuery(request.query)
    return sendPlaylist(reply, await lowLatency.master(streamId, segmentQuery))
  })

  scope.get('/streams/:name/hls/low-latency-media.m3u8', async (request: StreamRequest, reply) => {
    const { streamId } = registry.get(request.params.name)
    const position = parsePosition(request.query)
    const { segmentQuery: query } = parsePlaylistQuery(request.query)
    const answer = lowLatency.media(streamId, { position, query }, untilClosed(reply))
    return sendPlaylist(reply, await answer)
  })

  scope.get('/streams/:name/hls/part-*', async (request: StreamRequest, reply) => {
    const { streamId, name } = registry.get(request.params.name)
    const position = parsePartName(request.params['*'])
    const bytes = await lowLatency.part(streamId, position, untilClosed(reply))
    const sentBytes = metrics.playbackBytes.labels({ stream: name, format: 'hls' })
    reply.raw.once('finish', () => {
      if (request.method === 'GET') sentBytes.inc(bytes.length)
    })
    return reply.header('cache-control', PART_CACHE).type(PART_TYPE).send(bytes)
  })
}

/** Nobody waits for somebody who has left. */
function untilClosed(reply: FastifyReply): AbortSignal {
  const closed = new AbortController()
  reply.raw.once('close', () =>
    closed.abort(new ServiceError('unavailable', 'ViewerLeft', 'Nobody waits for it any more.')),
  )
  return closed.signal
}

/**
 * draft-pantos-hls-rfc8216bis §6.2.5.2.
 *
 * @throws ServiceError `invalid-argument`/`InvalidPlaylistPosition`
 */
function parsePosition(query: Readonly<Record<string, unknown>>): LowLatencyRequest['position'] {
  const { _HLS_msn: sequence, _HLS_part: part } = query
  if (sequence === undefined && part === undefined) return null
  const numbers = [sequence, part ?? '0'].map((value) =>
    typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : NaN,
  )
  if (numbers.some(Number.isNaN)) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidPlaylistPosition',
      '_HLS_msn and _HLS_part are whole numbers, the latter never alone.',
    )
  }
  return { sequence: numbers[0]!, part: part === undefined ? null : numbers[1]! }
}

function parsePartName(name: string): PartPosition {
  const [, sequence, part] = /^(\d{1,15})-(\d{1,6})\.m4s$/.exec(name) ?? []
  if (part === undefined) throw new ServiceError('not-found', 'SegmentNotFound', 'No such part.')
  return { sequence: Number(sequence), part: Number(part) }
}
