import { Type, type Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Archive, Hold } from '../../archive/index.ts'
import { epochMs } from '../../domain/time.ts'
import type { StreamRegistry } from '../../registry/index.ts'

const MAX_MS = 2 ** 50

const rangeOf = {
  by: Type.Union([Type.Literal('producer'), Type.Literal('server')], { default: 'producer' }),
  from: Type.Integer({ minimum: 0, maximum: MAX_MS }),
  to: Type.Integer({ minimum: 0, maximum: MAX_MS }),
}
const holdBody = Type.Object(
  {
    stream: Type.String(),
    ...rangeOf,
    name: Type.String({ minLength: 1, maxLength: 256 }),
    reason: Type.String({ maxLength: 4096, default: '' }),
    until: Type.Optional(Type.Union([Type.Integer({ minimum: 0, maximum: MAX_MS }), Type.Null()])),
  },
  { additionalProperties: false },
)
const deletionBody = Type.Object(
  {
    ...rangeOf,
    held: Type.Union([Type.Literal('refuse'), Type.Literal('delete')], { default: 'refuse' }),
  },
  { additionalProperties: false },
)

/** Holds, deleted ranges and space; in the control API, behind its sign-in. */
export function registerArchiveRoutes(
  fastify: FastifyInstance,
  { archive, registry }: { readonly archive: Archive; readonly registry: StreamRegistry },
): void {
  const nameOf = (streamId: Hold['streamId']) => registry.findById(streamId)?.name ?? null
  const describe = ({ streamId, ...hold }: Hold) => ({ ...hold, stream: nameOf(streamId) })

  fastify.get('/control/v1/space', async () => {
    const { disk, streams } = await archive.space()
    return {
      disk,
      streams: streams.map(({ streamId, ...usage }) => ({ stream: nameOf(streamId), ...usage })),
    }
  })

  fastify.get('/control/v1/holds', async () => ({ holds: archive.holds().map(describe) }))

  fastify.post<{ Body: Static<typeof holdBody> }>(
    '/control/v1/holds',
    { schema: { body: holdBody } },
    async (request, reply) => {
      const { stream, name, reason, until = null, ...range } = request.body
      const { streamId } = registry.get(stream)
      const terms = { name, reason, until: until === null ? null : epochMs(until) }
      const hold = await archive.hold(streamId, range, terms)
      void reply.status(201)
      return describe(hold)
    },
  )

  fastify.delete<{ Params: { id: string } }>('/control/v1/holds/:id', async (request, reply) => {
    await archive.releaseHold(request.params.id)
    void reply.status(204)
  })

  fastify.post<{ Params: { name: string }; Body: Static<typeof deletionBody> }>(
    '/control/v1/streams/:name/delete-range',
    { schema: { body: deletionBody } },
    async (request) => {
      const { held, ...range } = request.body
      const { streamId } = registry.get(request.params.name)
      return { deleted: await archive.deleteRange(streamId, range, { held }) }
    },
  )
}

/** `null` lifts a quota. */
export const quotaField = Type.Optional(
  Type.Union([Type.Integer({ minimum: 1_000_000, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()]),
)
