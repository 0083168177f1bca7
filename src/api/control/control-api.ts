import { Type, type Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Archive } from '../../archive/index.ts'
import type { DataStreams, StoredRecord } from '../../datastream/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import { epochMs } from '../../domain/time.ts'
import type { IngestSession, Sources } from '../../ingest/index.ts'
import type { SourceRegistry, StreamInfo, StreamRegistry } from '../../registry/index.ts'
import type { Access } from './access.ts'
import { quotaField, registerArchiveRoutes } from './archive-routes.ts'
import { describeSession } from './describe-session.ts'
import { describeStatus, registerSourceRoutes } from './source-routes.ts'

/** The control API under /control/v1: what the console and the `kinora` commands use. */
export type ControlApiOptions = {
  readonly access: Access
  readonly registry: StreamRegistry
  readonly sources: SourceRegistry
  readonly pulls: Sources
  readonly archive: Archive
  readonly dataStreams: DataStreams
  readonly resultsStream: string
  readonly defaultRetentionHours: number
  /** rtmp://host:port/app, or null when RTMP is off. */
  readonly rtmpUrl: () => string | null
  readonly rtspUrl: () => string | null
  readonly publicUrl: () => string
  readonly version: string
  readonly model: () => { readonly name: string; readonly labels: readonly string[] } | null
  readonly sessions: () => readonly IngestSession[]
  readonly notifier: HookControl
}

/** What the control API asks of the notifier. */
export type HookControl = {
  status(): readonly object[]
  wake(hookName: string): Promise<void>
  enable(hookName: string): Promise<void>
  deadLetters(hookName: string, limit: number): Promise<readonly object[]>
  requeue(hookName: string): Promise<number>
}

const createBody = Type.Object(
  {
    name: Type.String(),
    retentionHours: Type.Optional(Type.Integer()),
    quotaBytes: quotaField,
    publishKey: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)
const updateBody = Type.Object(
  {
    retentionHours: Type.Optional(Type.Integer()),
    quotaBytes: quotaField,
    publishKey: Type.Optional(Type.String()),
  },
  { additionalProperties: false, minProperties: 1 },
)
const tokenBody = Type.Object(
  { seconds: Type.Integer({ minimum: 10, maximum: 30 * 24 * 3600, default: 3600 }) },
  { additionalProperties: false },
)
const detectionsQuery = Type.Object(
  {
    stream: Type.Optional(Type.String()),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
    from: Type.Optional(Type.Integer({ minimum: 0 })),
    to: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
)
const coverageQuery = Type.Object(
  {
    from: Type.Integer({ minimum: 0 }),
    to: Type.Optional(Type.Integer({ minimum: 0 })),
    by: Type.Union([Type.Literal('producer'), Type.Literal('server')], { default: 'producer' }),
  },
  { additionalProperties: false },
)
type NameParams = { Params: { name: string } }

export function registerControlApi(fastify: FastifyInstance, options: ControlApiOptions): void {
  const { access, registry, archive } = options

  const describeStream = async (info: StreamInfo, sessions = options.sessions()) => {
    const session = sessions.find(({ stream }) => stream === info.name) ?? null
    const source = options.pulls.status(info.name)
    return {
      name: info.name,
      createdAt: new Date(info.createdAt).toISOString(),
      retentionHours: info.retentionHours,
      quotaBytes: info.quotaBytes ?? null,
      state: session === null ? 'idle' : 'live',
      session: session === null ? null : describeSession(session),
      source: source === null ? null : describeStatus(source),
      archive: await archive.usage(info.streamId),
    }
  }

  fastify.post<{ Body: { token: string } }>(
    '/control/v1/session',
    { schema: { body: Type.Object({ token: Type.String() }, { additionalProperties: false }) } },
    async (request, reply) => {
      void reply.header('set-cookie', access.signIn(request.body.token)).status(204)
    },
  )

  void fastify.register(async (signedIn) => {
    signedIn.addHook('onRequest', async (request) => access.requireAdmin(request))

    registerArchiveRoutes(signedIn, { archive, registry })
    registerSourceRoutes(signedIn, {
      streams: registry,
      sources: options.sources,
      pulls: options.pulls,
      defaultRetentionHours: options.defaultRetentionHours,
      describeSession: (name) => {
        const session = options.sessions().find(({ stream }) => stream === name)
        return session === undefined ? null : describeSession(session)
      },
    })

    signedIn.get('/control/v1/service', async () => ({
      version: options.version,
      publicUrl: options.publicUrl(),
      rtmpUrl: options.rtmpUrl(),
      rtspUrl: options.rtspUrl(),
      model: options.model(),
      hooks: options.notifier.status(),
    }))

    signedIn.get('/control/v1/streams', async () => {
      const sessions = options.sessions() // once for all: a snapshot of each is not free
      const streams = registry.list().map((info) => describeStream(info, sessions))
      return { streams: await Promise.all(streams) }
    })

    signedIn.post<{ Body: Static<typeof createBody> }>(
      '/control/v1/streams',
      { schema: { body: createBody } },
      async (request, reply) => {
        const { info, publishKey } = await registry.create({
          ...request.body,
          retentionHours: request.body.retentionHours ?? options.defaultRetentionHours,
        })
        const rtmpUrl = options.rtmpUrl()
        void reply.status(201)
        return {
          stream: await describeStream(info),
          publishKey, // shown this once: only its hash is kept
          publishUrl: rtmpUrl === null ? null : `${rtmpUrl}/${info.name}?key=${publishKey}`,
        }
      },
    )

    signedIn.get<NameParams>('/control/v1/streams/:name', async (request) =>
      describeStream(registry.get(request.params.name)),
    )

    signedIn.patch<NameParams & { Body: Static<typeof updateBody> }>(
      '/control/v1/streams/:name',
      { schema: { body: updateBody } },
      async (request) => describeStream(await registry.update(request.params.name, request.body)),
    )

    signedIn.delete<NameParams>('/control/v1/streams/:name', async (request, reply) => {
      const info = registry.get(request.params.name)
      await options.pulls.whileStopped(info.name, async () => {
        if (options.sessions().some(({ stream }) => stream === info.name)) {
          throw new ServiceError('conflict', 'StreamBusy', `${info.name} is being published.`)
        }
        await archive.remove(info.streamId) // refuses while a session's last fragment is written
        await registry.delete(info.name)
      })
      void reply.status(204)
    })

    signedIn.post<NameParams & { Body: Static<typeof tokenBody> }>(
      '/control/v1/streams/:name/playback-token',
      { schema: { body: tokenBody } },
      async (request) => {
        const { name } = registry.get(request.params.name)
        const token = access.playbackToken(name, request.body.seconds)
        const url = `${options.publicUrl()}/streams/${name}/hls/master.m3u8?token=${token}`
        return { token, url, expiresInSeconds: request.body.seconds }
      },
    )

    signedIn.get<NameParams & { Querystring: Static<typeof coverageQuery> }>(
      '/control/v1/streams/:name/coverage',
      { schema: { querystring: coverageQuery } },
      async (request) => {
        const { streamId } = registry.get(request.params.name)
        const { by, from, to = Number.MAX_SAFE_INTEGER } = request.query
        const range = { by, from: epochMs(from), to: epochMs(to) } as const
        return { by, ...(await archive.coverage(streamId, range)) }
      },
    )

    signedIn.post<NameParams>('/control/v1/hooks/:name/wake', async (request, reply) => {
      await options.notifier.wake(request.params.name)
      void reply.status(204)
    })

    signedIn.post<NameParams>('/control/v1/hooks/:name/enable', async (request, reply) => {
      await options.notifier.enable(request.params.name)
      void reply.status(204)
    })

    signedIn.get<NameParams>('/control/v1/hooks/:name/dead-letters', async (request) => ({
      deadLetters: await options.notifier.deadLetters(request.params.name, MAX_DEAD_LETTERS),
    }))

    signedIn.post<NameParams>('/control/v1/hooks/:name/requeue', async (request) => ({
      requeued: await options.notifier.requeue(request.params.name),
    }))

    signedIn.get<{ Querystring: Static<typeof detectionsQuery> }>(
      '/control/v1/detections',
      { schema: { querystring: detectionsQuery } },
      async (request) => ({
        detections: await findDetections(options, request.query),
      }),
    )
  })
}

const MAX_DEAD_LETTERS = 1000
/** How many of the newest results are looked through, step by step, until enough are found. */
const SEARCH_STEPS = [200, 2_000, 20_000] as const

async function findDetections(
  { dataStreams, resultsStream }: ControlApiOptions,
  query: Static<typeof detectionsQuery>,
): Promise<unknown[]> {
  if (!dataStreams.list().includes(resultsStream)) return []
  let found: unknown[] = []
  for (const count of SEARCH_STEPS) {
    const newest = await dataStreams.newest(resultsStream, Math.max(count, query.limit))
    found = newest.flatMap((record) => matchResult(record, query))
    const oldest = newest.at(-1)
    // A frame is older than its record, so older records cannot match either.
    const isPastRange = oldest !== undefined && oldest.arrivedAt < (query.from ?? 0)
    if (found.length >= query.limit || newest.length < count || isPastRange) break
  }
  return found.slice(0, query.limit)
}

function matchResult(record: StoredRecord, query: Static<typeof detectionsQuery>): unknown[] {
  if (query.stream !== undefined && record.partitionKey !== query.stream) return []
  const result = parseResult(record)
  if (result === null) return []
  const at = Date.parse(result.frameTimestamp)
  return at >= (query.from ?? 0) && at < (query.to ?? Infinity) ? [result] : []
}

/** Others may put their own records on the stream: those are left out. */
function parseResult(record: StoredRecord): { readonly frameTimestamp: string } | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(record.data).toString('utf8'))
    if (typeof value !== 'object' || value === null) return null
    const { frameTimestamp } = value as { frameTimestamp?: unknown }
    return typeof frameTimestamp === 'string' ? (value as { frameTimestamp: string }) : null
  } catch {
    return null
  }
}
