import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ImageOptions, Images } from '../../playback/index.ts'
import type { StreamRegistry } from '../../registry/index.ts'
import { parseTime } from './query.ts'

export type ImageRoutesOptions = { readonly images: Images; readonly registry: StreamRegistry }

type ImageRequest = FastifyRequest<{
  Params: { name: string }
  Querystring: Record<string, unknown>
}>

/** The picture that a stream showed at an instant, as JPEG or PNG. */
export function addImageRoutes(scope: FastifyInstance, options: ImageRoutesOptions): void {
  const sendImage =
    (format: ImageOptions['format']) => async (request: ImageRequest, reply: FastifyReply) => {
      const { streamId } = options.registry.get(request.params.name)
      const { at, width, quality } = request.query
      const image = await options.images.imageAt(streamId, parseTime('at', at), {
        format,
        ...(width === undefined ? {} : { width: Number(width) }),
        ...(quality === undefined ? {} : { quality: Number(quality) }),
      })
      return reply
        .header('cache-control', CACHE_CONTROL)
        .header('x-frame-timestamp', new Date(image.frameTimestamp).toISOString())
        .type(`image/${format}`)
        .send(Buffer.from(image.bytes))
    }
  scope.get('/streams/:name/image.jpg', sendImage('jpeg'))
  scope.get('/streams/:name/image.png', sendImage('png'))
}

/** Not for long: a frame nearer to the instant may still be on its way. */
const CACHE_CONTROL = 'private, max-age=60'
