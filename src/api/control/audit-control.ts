import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditLog } from '../../observe/audit-log.ts'
import type { Clock } from '../../platform/clock.ts'
import { toHttpFailure } from './errors.ts'

/** Tells the audit log of the calls of the control API; their query and body stay out of it. */
export function auditControl(
  fastify: FastifyInstance,
  { audit, clock }: { readonly audit: AuditLog; readonly clock: Clock },
): void {
  const calls = new WeakMap<
    FastifyRequest,
    { readonly requestId: string; readonly at: ReturnType<Clock['now']>; outcome: string }
  >()

  fastify.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/control/')) return
    const requestId = randomUUID()
    void reply.header('x-request-id', requestId)
    calls.set(request, { requestId, at: clock.now(), outcome: 'OK' })
  })
  fastify.addHook('onError', async (request, _reply, error) => {
    const call = calls.get(request)
    if (call !== undefined) call.outcome = toHttpFailure(error).code
  })
  fastify.addHook('onResponse', async (request, reply) => {
    const call = calls.get(request)
    if (call === undefined) return
    const { requestId, at, outcome } = call
    audit.record({
      ...{ at, api: 'control', requestId, outcome },
      operation: `${request.method} ${request.routeOptions.url ?? '?'}`,
      resource: request.url.split('?')[0]!,
      caller: reply.statusCode === 401 || reply.statusCode === 403 ? null : 'admin',
      sourceIp: request.socket.remoteAddress ?? null,
      userAgent: request.headers['user-agent'] ?? null,
      status: reply.statusCode,
      durationMs: Math.max(0, clock.now() - at),
    })
  })
}
