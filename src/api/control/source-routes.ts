import { Type, type Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Sources, SourceStatus } from '../../ingest/index.ts'
import {
  parseNewSource,
  type SourceInfo,
  type SourceRegistry,
  type StreamRegistry,
} from '../../registry/index.ts'

export type SourceRoutesOptions = {
  readonly streams: StreamRegistry
  readonly sources: SourceRegistry
  readonly pulls: Sources
  /** For streams that are made along with their source. */
  readonly defaultRetentionHours: number
  /** What the API says of a stream's session; `null` when nobody publishes. */
  readonly describeSession: (stream: string) => object | null
}

const settings = {
  password: Type.Optional(Type.String()),
  transport: Type.Optional(
    Type.Union([Type.Literal('auto'), Type.Literal('tcp'), Type.Literal('udp')]),
  ),
  verifyCertificate: Type.Optional(Type.Boolean()),
  enabled: Type.Optional(Type.Boolean()),
  connectTimeoutMs: Type.Optional(Type.Integer()),
  stallTimeoutMs: Type.Optional(Type.Integer()),
}
const createBody = Type.Object(
  {
    stream: Type.String(),
    url: Type.String(),
    username: Type.Optional(Type.String()),
    ...settings,
    createStream: Type.Boolean({ default: false }),
  },
  { additionalProperties: false },
)
const updateBody = Type.Object(
  {
    url: Type.Optional(Type.String()),
    username: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    ...settings,
  },
  { additionalProperties: false, minProperties: 1 },
)
type StreamParams = { Params: { stream: string } }

/** Pulled sources; in the control API, behind its sign-in. Answers never hold a password. */
export function registerSourceRoutes(
  fastify: FastifyInstance,
  { streams, sources, pulls, defaultRetentionHours, describeSession }: SourceRoutesOptions,
): void {
  const describe = (info: SourceInfo) => {
    const { streamId: _, version: _version, createdAt, ...shown } = info
    const status = pulls.status(info.stream)
    return {
      ...shown,
      createdAt: toIso(createdAt),
      ...(status === null ? {} : describeStatus(status)),
      session: status?.state === 'publishing' ? describeSession(info.stream) : null,
    }
  }

  fastify.get('/control/v1/sources', async () => ({ sources: sources.list().map(describe) }))

  fastify.get<StreamParams>('/control/v1/sources/:stream', async (request) =>
    describe(sources.get(request.params.stream)),
  )

  fastify.post<{ Body: Static<typeof createBody> }>(
    '/control/v1/sources',
    { schema: { body: createBody } },
    async (request, reply) => {
      const { createStream, ...source } = request.body
      parseNewSource(source) // before a stream is made for it
      if (createStream && streams.find(source.stream) === null) {
        await streams.create({ name: source.stream, retentionHours: defaultRetentionHours })
      }
      const info = await sources.create(source)
      void reply.status(201)
      return describe(info)
    },
  )

  fastify.patch<StreamParams & { Body: Static<typeof updateBody> }>(
    '/control/v1/sources/:stream',
    { schema: { body: updateBody } },
    async (request) => {
      const { stream } = request.params
      const info = await sources.update(stream, request.body)
      await pulls.settled(stream)
      return describe(info)
    },
  )

  fastify.delete<StreamParams>('/control/v1/sources/:stream', async (request, reply) => {
    const { stream } = request.params
    await sources.delete(stream)
    await pulls.settled(stream)
    void reply.status(204)
  })
}

/** How a source is doing, without what it is. */
export function describeStatus({ since, nextAttemptAt, lastFailure, ...status }: SourceStatus) {
  return {
    ...status,
    since: toIso(since),
    nextAttemptAt: nextAttemptAt === null ? null : toIso(nextAttemptAt),
    lastFailure: lastFailure === null ? null : { ...lastFailure, at: toIso(lastFailure.at) },
  }
}

function toIso(ms: number): string {
  return new Date(ms).toISOString()
}
