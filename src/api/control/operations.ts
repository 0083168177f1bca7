import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../../observe/metrics.ts'

/** /healthz (the process answers), /readyz (it takes work) and /metrics (Prometheus). */
export function registerOperations(
  fastify: FastifyInstance,
  options: {
    readonly metrics: Metrics
    /** `null` when ready, else why not. */
    readonly notReady: () => string | null
    /** Sets the gauges that are read rather than counted. */
    readonly refreshGauges: () => Promise<void>
  },
): void {
  const { metrics } = options
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_SAMPLE_MS })
  loopDelay.enable()
  fastify.addHook('onClose', async () => void loopDelay.disable())

  fastify.get('/healthz', async () => ({ status: 'ok' }))

  fastify.get('/readyz', async (_request, reply) => {
    const reason = options.notReady()
    if (reason === null) return { status: 'ready' }
    void reply.status(503)
    return { status: 'not ready', reason }
  })

  const scrape = async () => {
    await options.refreshGauges()
    metrics.eventLoopDelayMs.set(Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_SAMPLE_MS))
    loopDelay.reset()
    return metrics.registry.metrics()
  }
  /** Shared by all who ask while it is made: it needs no credential, and is not free. */
  let scraping: Promise<string> | null = null

  fastify.get('/metrics', async (_request, reply) => {
    scraping ??= scrape().finally(() => (scraping = null))
    const text = await scraping
    return reply.header('content-type', metrics.registry.contentType).send(text)
  })
}

/** Every sample wakes the process up: at 10 ms an idle one takes a per cent of a core for it. */
const LOOP_SAMPLE_MS = 50
