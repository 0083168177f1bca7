import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { registerConsole } from './api/console/index.ts'
import {
  auditControl,
  createAccess,
  registerControlApi,
  registerOperations,
  toHttpFailure,
} from './api/control/index.ts'
import { createFastify } from './api/fastify.ts'
import { startHttpServer } from './api/http-server.ts'
import { createKinesisApi } from './api/kinesis/index.ts'
import { toStreamArn } from './api/kinesis-video/index.ts'
import { registerPlayback } from './api/playback/index.ts'
import { openArchive } from './archive/index.ts'
import { readAwsAccess } from './aws-access.ts'
import { toHttpUrl, type Config } from './config/index.ts'
import { openMetaLeases } from './consume/index.ts'
import { openDataStreams, type DataStreams } from './datastream/index.ts'
import { openDetector, resolveModel } from './detect/index.ts'
import { readDeclaredSources } from './declared-sources.ts'
import { createMakeImages } from './make-images.ts'
import { openAudit } from './open-audit.ts'
import { readMasterKeys } from './master-keys.ts'
import { startDeliveries } from './deliver/index.ts'
import { readDeliveryTerms } from './delivery-terms.ts'
import { startDetectionPipeline } from './detection-pipeline.ts'
import {
  LiveSessions,
  LoginLimiter,
  pullOf,
  setSessionGauges,
  startSources,
} from './ingest/index.ts'
import { startNotifier } from './notify/index.ts'
import { createEvents } from './observe/events.ts'
import type { Log } from './observe/log.ts'
import { createMetrics } from './observe/metrics.ts'
import { systemClock } from './platform/clock.ts'
import { openLevelMetaStore } from './platform/meta-store.ts'
import {
  createHls,
  createImages,
  createLowLatencyHls,
  createPlayableAudio,
} from './playback/index.ts'
import {
  createSecretBox,
  openCredentials,
  openSourceRegistry,
  openStreamRegistry,
  type StreamRegistry,
} from './registry/index.ts'
import { startRtmpServers } from './rtmp-servers.ts'
import { startRtspServers } from './rtsp-servers.ts'
import { blaming } from './start-failure.ts'
import { createVideoApi } from './video-api.ts'

/** The running service. Disposal drains it: see {@link startApp}. */
export interface App extends AsyncDisposable {
  readonly publicUrl: string
  /** rtmp://host:port/app; `null` when RTMP is off. */
  readonly rtmpUrl: string | null
  readonly registry: StreamRegistry
  readonly dataStreams: DataStreams
  readonly resultsStream: string
  readonly region: string
  readonly accessKey: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

const PACKAGE = new URL('../package.json', import.meta.url)
const BUILT_IN_MODELS = fileURLToPath(new URL('../models', import.meta.url))
const CONSOLE = fileURLToPath(new URL('../dist/console', import.meta.url))

/** Lets the service start on a full disk: see {@link openLevelMetaStore}. */
const META_RESERVE_BYTES = 8 * 1024 * 1024

/** How long requests in flight may take when the service stops. */
const HTTP_GRACE_MS = 5_000

/**
 * Builds and joins all parts: the composition root. Parts are started in the order of the way of
 * the data's needs (stores, consumers, edges) and stopped in reverse: stop accepting, finish
 * fragments, sync, checkpoint, close.
 *
 * @throws ServiceError what the parts throw; whatever was started by then is stopped
 */
export async function startApp(config: Config, { log }: { readonly log: Log }): Promise<App> {
  const started: AsyncDisposable[] = []
  const stop = async () => {
    for (const part of started.splice(0).reverse()) {
      try {
        await part[Symbol.asyncDispose]()
      } catch (error) {
        log.error({ err: error }, 'a part did not stop in order') // the others still have to
      }
    }
  }
  const keep = <T extends AsyncDisposable>(part: T): T => {
    started.push(part)
    return part
  }
  try {
    return { ...(await startParts(config, log, keep)), [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startParts(
  config: Config,
  log: Log,
  keep: <T extends AsyncDisposable>(part: T) => T,
): Promise<Omit<App, typeof Symbol.asyncDispose>> {
  const clock = systemClock
  const metrics = createMetrics({ processMetrics: true })
  const events = createEvents(log, metrics)
  const observed = { clock, events, metrics, log }
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }
  const inData = (name: string) => join(config.dataDirectory, name)

  // Stores
  const credentials = await blaming('dataDirectory', async () => {
    await mkdir(config.dataDirectory, { recursive: true })
    return openCredentials(config.dataDirectory)
  })
  const meta = keep(await openLevelMetaStore(inData('meta'), { reserveBytes: META_RESERVE_BYTES }))
  const registry = await openStreamRegistry(meta, clock)
  for (const { name, retentionHours, quotaBytes, publishKey } of config.streams) {
    if (registry.find(name) !== null) continue
    await registry.create({
      name,
      retentionHours: retentionHours ?? config.archive.defaultRetentionHours,
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
      ...(publishKey === undefined ? {} : { publishKey }),
    })
  }
  const sealingKey = Buffer.from(credentials.sealingKey, 'hex')
  const declaredSources = await blaming('sources[].passwordFile', () =>
    readDeclaredSources(config.sources),
  )
  for (const { stream } of declaredSources) {
    if (registry.find(stream) !== null) continue
    const retentionHours = config.archive.defaultRetentionHours
    await registry.create({ name: stream, retentionHours })
  }
  const sources = await openSourceRegistry(
    { meta, streams: registry, clock, box: createSecretBox(sealingKey) },
    declaredSources,
  )
  const archive = keep(
    await openArchive(
      { directory: inData('archive'), meta, ...observed },
      {
        retentionMsOf: (streamId) => {
          const hours = registry.findById(streamId)?.retentionHours
          return hours === undefined ? null : hours * 3_600_000
        },
        nameOf: (streamId) => registry.findById(streamId)?.name ?? streamId,
        quotaBytesOf: (streamId) => registry.findById(streamId)?.quotaBytes ?? null,
        minFreeBytes: config.archive.minFreeBytes,
        maxQueuedBytes: config.archive.maxQueuedBytes,
        maxChunkBytes: config.archive.maxChunkBytes,
        checkBytesPerSecond: config.archive.checkBytesPerSecond,
      },
    ),
  )
  const dataStreams = keep(
    await openDataStreams(
      {
        directory: inData('datastream'),
        meta,
        masterKeys: readMasterKeys(config, credentials.sealingKey),
        ...observed,
      },
      config.dataStreams,
    ),
  )
  const { resultsStream, resultsRetentionHours } = config.detection
  if (!dataStreams.list().includes(resultsStream)) {
    await dataStreams.create({
      name: resultsStream,
      shardCount: 1,
      retentionHours: resultsRetentionHours,
    })
  }

  // Consumers
  const leases = keep(await openMetaLeases({ meta, clock, log, node: 'local' }))
  // Hooks fire with it from the first record on, so it must be known before any does; only a port
  // that the system chooses (0, for tests) is known later.
  let publicUrl = config.publicUrl ?? toHttpUrl(config, config.http.port)
  const notifier = keep(
    await startNotifier({
      dataStreams,
      resultsStream,
      leases,
      meta,
      hooks: config.hooks,
      publicUrl: () => publicUrl,
      ...(config.notify.retryDelaysMs === null
        ? {}
        : { retryDelaysMs: config.notify.retryDelaysMs }),
      ...observed,
    }),
  )
  const model = config.detection.enabled
    ? await resolveModel(config.detection.model, {
        builtInDirectory: BUILT_IN_MODELS,
        dataDirectory: config.dataDirectory,
      })
    : null
  if (model !== null) {
    const detector = keep(
      await openDetector(
        {
          modelDirectory: model.directory,
          framesPerSecond: config.detection.framesPerSecond,
          workers: config.detection.workers,
          ...(config.detection.minScore === null ? {} : { minScore: config.detection.minScore }),
          ...(config.detection.labels.length === 0 ? {} : { labels: config.detection.labels }),
        },
        observed,
      ),
    )
    const chosen = new Set(config.detection.streams)
    keep(
      startDetectionPipeline({
        archive,
        leases,
        dataStreams,
        detector,
        model: model.manifest,
        resultsStream,
        streams: () => registry.list().filter(({ name }) => chosen.has('*') || chosen.has(name)),
        maxLagMs: config.detection.maxLagMs,
        ...observed,
      }),
    )
  }

  // Edges
  let stopping = false
  const sessions = new LiveSessions(
    { registry, archive, ...observed },
    {
      fragmentTargetMs: config.archive.fragmentTargetMs,
      maxFragmentMs: config.archive.maxFragmentMs,
    },
  )
  const loginLimiter = new LoginLimiter(clock)
  const publishing = { registry, archive, sessions, loginLimiter, ...observed }
  const rtmpTls = await blaming('rtmp.tlsCertFile, rtmp.tlsKeyFile', () => readTls(config.rtmp))
  const { url: rtmpUrl } = keep(await startRtmpServers(publishing, config.rtmp, rtmpTls))
  const rtspTls = await blaming('rtsp.tlsCertFile, rtsp.tlsKeyFile', () => readTls(config.rtsp))
  const rtsp = keep(await startRtspServers(publishing, config.rtsp, rtspTls))
  const pulls = keep(
    startSources({
      ...{ registry, sources, archive, sessions, pullOf, random: Math.random },
      ...observed,
    }),
  )

  const images = keep(createImages({ archive, workers: config.archivedMedia.imageWorkers }))
  const playableAudio = keep(createPlayableAudio({ archive, metrics }))
  const hls = createHls({ archive, source: playableAudio, clock })
  const lowLatency = createLowLatencyHls({ archive, source: playableAudio, clock })
  const accessKeys = config.auth.accessKeys.length > 0 ? config.auth.accessKeys : [credentials]
  const openHosts = ['localhost', '127.0.0.1', '[::1]', ...hostsOf(config)]
  const access = createAccess({
    adminToken: config.auth.adminToken,
    sealingKey,
    openHosts,
    secureCookies: config.http.tlsCertFile !== null,
    clock,
  })
  const awsAccess = readAwsAccess(config, accessKeys, openHosts)
  if (awsAccess.openTo !== undefined) log.warn('calls of the AWS APIs are not authenticated')
  keep(
    startDeliveries({
      ...{ archive, leases, meta, registry, makeImages: createMakeImages(images) },
      streamArnOf: (stream) => toStreamArn(config.aws, stream),
      accountId: config.aws.accountId,
      terms: readDeliveryTerms(config.delivery),
      ...observed,
    }),
  )
  const audit = keep(openAudit(config, { metrics, log, clock }))
  const kinesisVideo = await createVideoApi(config, {
    ...{ registry, archive, meta, sessions, sources, pulls, images, playableAudio },
    ...{ audit, awsAccess, sealingKey },
    ...observed,
  })
  const kinesis = createKinesisApi({
    audit,
    dataStreams,
    ...awsAccess,
    iteratorKey: sealingKey,
    quotas: config.dataStreams.quotas,
    region: config.aws.region,
    accountId: config.aws.accountId,
    ...observed,
  })
  const fastify = createFastify()
  fastify.setErrorHandler((error, request, reply) => {
    const failure = toHttpFailure(error)
    if (failure.status >= 500)
      log.error({ err: error, path: request.url.split('?')[0] }, 'request failed')
    return reply.status(failure.status).send({ code: failure.code, message: failure.message })
  })
  fastify.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ code: 'NotFound', message: 'There is nothing at this address.' }),
  )
  registerOperations(fastify, {
    metrics,
    notReady: () => (stopping ? 'stopping' : null),
    refreshGauges: async () => {
      notifier.refreshGauges()
      setSessionGauges(metrics, sessions.list())
      const { disk, streams } = await archive.space()
      for (const usage of streams) {
        const stream = registry.findById(usage.streamId)?.name
        if (stream === undefined) continue
        metrics.archiveStoredBytes.set({ stream }, usage.bytes)
        metrics.archiveWriteRate.set({ stream }, usage.writeBytesPerSecond)
        metrics.archiveRetentionReached.set(
          { stream },
          usage.retentionReachedInSeconds ?? Number.POSITIVE_INFINITY,
        )
      }
      if (disk === null) return
      metrics.archiveDiskFree.set(disk.freeBytes)
      metrics.archiveDiskMinFree.set(disk.minFreeBytes)
      metrics.archiveDiskFull.set(disk.fullInSeconds ?? Number.POSITIVE_INFINITY)
    },
  })
  auditControl(fastify, { audit, clock })
  registerControlApi(fastify, {
    access,
    registry,
    sources,
    pulls,
    archive,
    dataStreams,
    resultsStream,
    defaultRetentionHours: config.archive.defaultRetentionHours,
    rtmpUrl: () => rtmpUrl,
    rtspUrl: () => rtsp.url,
    publicUrl: () => publicUrl,
    version,
    model: () =>
      model === null ? null : { name: model.manifest.name, labels: model.manifest.labels },
    sessions: () => sessions.list(),
    notifier,
  })
  registerPlayback(fastify, {
    hls,
    lowLatency,
    images,
    registry,
    authorise: (request, streamName) => access.requirePlayback(request, streamName),
    metrics,
    log,
  })
  registerConsole(fastify, CONSOLE)
  await fastify.ready()

  const tls = await blaming('http.tlsCertFile, http.tlsKeyFile', () => readTls(config.http))
  const http = await blaming('http.host, http.port', () =>
    startHttpServer({
      host: config.http.host,
      port: config.http.port,
      ...(tls === null ? {} : { tls }),
      onRequest: (request, response) => {
        if (kinesis.handles(request)) void kinesis.handle(request, response)
        else if (kinesisVideo.handles(request)) void kinesisVideo.handle(request, response)
        else fastify.routing(request, response)
      },
      clock,
      log,
    }),
  )
  keep({
    [Symbol.asyncDispose]: async () => {
      stopping = true
      kinesis.endStreams()
      await kinesisVideo.close()
      await lowLatency[Symbol.asyncDispose]()
      await http.close(HTTP_GRACE_MS)
      await fastify.close()
    },
  })
  publicUrl = config.publicUrl ?? toHttpUrl(config, http.port)
  log.info({ version, publicUrl, rtmpUrl, rtspUrl: rtsp.url }, 'kinora is ready')
  return {
    publicUrl,
    rtmpUrl,
    registry,
    dataStreams,
    resultsStream,
    region: config.aws.region,
    accessKey: accessKeys[0]!,
  }
}

/** Read and parsed, so that a wrong file is told before a port is opened. */
function readTls(section: {
  readonly tlsCertFile: string | null
  readonly tlsKeyFile: string | null
}): { readonly cert: string; readonly key: string } | null {
  const { tlsCertFile, tlsKeyFile } = section
  if (tlsCertFile === null || tlsKeyFile === null) return null
  const tls = {
    cert: readFileSync(tlsCertFile, 'utf8'),
    key: readFileSync(tlsKeyFile, 'utf8'),
  }
  createSecureContext(tls)
  return tls
}

function hostsOf(config: Config): string[] {
  return config.publicUrl === null ? [] : [new URL(config.publicUrl).hostname]
}
