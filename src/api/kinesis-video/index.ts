import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { ServiceError } from '../../domain/errors.ts'
import { epochMs } from '../../domain/time.ts'
import type { IngestDeps, LiveSessions, PutMediaLimits } from '../../ingest/index.ts'
import {
  circumstancesOf,
  createVerifier,
  requireAllowed,
  type AccessKeys,
  type Caller,
  type IdentityPolicies,
} from '../auth/index.ts'
import { noAuditLog, type AuditLog } from '../../observe/audit-log.ts'
import type { HttpRequest, HttpResponse } from '../http-server.ts'
import { AuditedCall } from '../aws/audited-call.ts'
import { jsonCodec } from '../aws/codec.ts'
import { readInput } from '../aws/input-schema.ts'
import { createBodyReader } from '../aws/request-body.ts'
import type { CallRates } from './call-rates.ts'
import { toWireError } from './errors.ts'
import { MediaAnswer, sendMedia } from './media-answer.ts'
import type { KinesisVideoService } from './operation.ts'
import { operations, putMediaOperation } from './operations.ts'
import { readPutMediaHeaders } from './put-media/put-media-headers.ts'
import { putMedia } from './put-media/put-media.ts'
import { toSignedPutMedia } from './put-media/signed-put-media.ts'
import { createSessionServer } from './sessions/serve-sessions.ts'
import { toStreamArn } from './stream-reference.ts'

export { CallLimit } from './archived/call-limit.ts'
export { createCallRates, DOCUMENTED_RATES, type CallRate } from './call-rates.ts'
export { toStreamArn } from './stream-reference.ts'
export { MediaReaders } from './get-media/media-readers.ts'

export type KinesisVideoApiParts = IngestDeps &
  KinesisVideoService & {
    readonly sessions: LiveSessions
    readonly accessKeys: AccessKeys
    /** Hosts by which requests are taken without a signature; absent: every request is verified. */
    readonly openTo?: readonly string[] | undefined
    readonly identityPolicies: IdentityPolicies
    /** Default: as often as they like. */
    readonly callRates?: CallRates
    readonly audit?: AuditLog
    /** Scheme, host and port of the configured `publicUrl`; absent: as each client came. */
    readonly publicOrigin?: string | undefined
    readonly putMediaLimits?: PutMediaLimits
    /** A reader that takes nothing for so long is cut loose. */
    readonly readerStallMs?: number
  }

export type KinesisVideoApi = {
  /** Whether a request is for this API. */
  readonly handles: (request: HttpRequest) => boolean
  /** Answers it. Never rejects: when the connection is gone there is nobody to tell. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>
  /** Ends what is being sent; resolves when all that was taken of it is kept. */
  readonly close: () => Promise<void>
}

/** The Amazon Kinesis Video Streams API, its control and its data operations, on one address. */
export function createKinesisVideoApi(parts: KinesisVideoApiParts): KinesisVideoApi {
  const { clock, log, metrics } = parts
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // one per producer
  const answering = new Set<Promise<void>>()
  /** One of each operation that is under way. */
  const operating = new Set<AbortController>()
  const verifier = createVerifier('kinesisvideo', parts)
  const audit = parts.audit ?? noAuditLog
  const sessionServer = createSessionServer(parts)

  const bodies = createBodyReader({
    maxBytes: MAX_BODY_BYTES,
    maxBytesTogether: MAX_BODY_BYTES_TOGETHER,
  })

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const requestId = randomUUID()
    response.setHeader('x-amzn-RequestId', requestId)
    response.setHeader('date', new Date(clock.now()).toUTCString())
    const told = new AuditedCall(circumstancesOf(request, clock.now()), {
      ...{ audit, clock, api: 'kinesis-video', requestId },
    })
    try {
      if (pathOf(request) === putMediaOperation.path) await answerPutMedia(request, response, told)
      else await answerOperation(request, response, told)
      metrics.httpRequests.inc({ edge: 'kinesis-video', status: '200' })
      told.end(200)
    } catch (error) {
      if (response.destroyed) {
        told.outcome = 'BrokeOff'
        told.end(response.statusCode)
        log.debug({ err: error, requestId }, 'Kinesis Video request broke off')
        return // there is nobody to answer
      }
      const { status, type, body } = toWireError(error, operations.get(pathOf(request))?.errors)
      if (status >= 500) log.error({ err: error, requestId }, 'Kinesis Video request failed')
      else log.debug({ err: error, requestId }, 'Kinesis Video request refused')
      metrics.httpRequests.inc({ edge: 'kinesis-video', status: String(status) })
      told.outcome = type
      told.end(status)
      if (response.headersSent) {
        response.destroy()
        return
      }
      response.statusCode = status
      response.setHeader('x-amzn-ErrorType', type)
      response.setHeader('content-type', 'application/json')
      // No request can follow a body that is not read.
      const isUnread = request.httpVersionMajor === 1 && !request.complete
      if (isUnread) response.setHeader('connection', 'close')
      response.end(JSON.stringify(body))
    }
  }

  async function answerPutMedia(
    request: HttpRequest,
    response: HttpResponse,
    told: AuditedCall,
  ): Promise<void> {
    told.operation = putMediaOperation.name
    const caller = verifier.verify(toSignedPutMedia(request), { kind: 'streamed' })
    told.caller = caller.accessKeyId
    const headers = readPutMediaHeaders(request)
    const { stream, createdAtMs } = headers
    const createdAt = createdAtMs ?? parts.registry.find(stream)?.createdAt ?? 0
    admit(toStreamArn(parts, { name: stream, createdAt: epochMs(createdAt) }), caller, told)
    await putMedia(parts, headers, request, response, stopping.signal)
  }

  async function answerOperation(
    request: HttpRequest,
    response: HttpResponse,
    told: AuditedCall,
  ): Promise<void> {
    const operation = operations.get(pathOf(request))!
    told.operation = operation.name
    const body = await bodies.read(request)
    if (!Buffer.isBuffer(body)) {
      throw new ServiceError('limit-exceeded', 'ClientLimitExceededException', BODY_REFUSED[body])
    }
    const caller = verifier.verify(toSignedRequest(request), { kind: 'whole', body })
    told.caller = caller.accessKeyId
    const input = readInput(operation.input, parseBody(body), jsonCodec)
    admit(operation.resource(input as never, parts), caller, told)
    // Not AbortSignal.any with one that lives as long as the service: it would keep what hangs on it.
    const away = new AbortController()
    response.once('close', () => {
      // Most answers are over by then, and an abort per request is dear.
      if (!response.writableEnded) away.abort(new Error('the client is gone'))
    })
    if (response.destroyed || stopping.signal.aborted) away.abort(new Error('it is too late'))
    operating.add(away)
    try {
      const origin = parts.publicOrigin ?? originOf(request)
      const { signal: gone } = away
      const output = await operation.handle(input as never, {
        service: parts,
        caller,
        origin,
        gone,
      })
      if (output instanceof MediaAnswer) {
        const stallMs = parts.readerStallMs ?? READER_STALL_MS
        await sendMedia(response, output, { gone, clock, stallMs })
        return
      }
      response.statusCode = 200
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(output))
    } finally {
      operating.delete(away)
    }
  }

  /** By policy, and by how often it is called. */
  function admit(resource: string, { accessKeyId }: Caller, told: AuditedCall): void {
    const { operation, circumstances } = told
    told.resource = resource
    const question = {
      ...{ accessKeyId, action: `kinesisvideo:${operation}`, resource, resourcePolicies: [] },
      ...{ accountId: parts.accountId, circumstances },
    }
    requireAllowed(question, parts.identityPolicies(accessKeyId))
    parts.callRates?.take(operation, resource)
  }

  return {
    handles: (request) => {
      if (sessionServer.handles(request)) return true
      const path = pathOf(request)
      return request.method === 'POST' && (path === putMediaOperation.path || operations.has(path))
    },
    handle: (request, response) => {
      const { handle } = sessionServer.handles(request) ? sessionServer : { handle: answer }
      const answered = handle(request, response).finally(() => answering.delete(answered))
      answering.add(answered)
      return answered
    },
    close: async () => {
      stopping.abort()
      for (const away of operating) away.abort(stopping.signal.reason)
      await Promise.all(answering)
    },
  }
}

const READER_STALL_MS = 30_000
/** 50 tags of letters that a client spells with six bytes each, and the JSON around them. */
const MAX_BODY_BYTES = 256 * 1024
const MAX_BODY_BYTES_TOGETHER = 16 * 1024 * 1024
const BODY_REFUSED = {
  'too-large': `The request is larger than ${MAX_BODY_BYTES} bytes.`,
  busy: 'Too many requests are being received.',
}

function pathOf(request: HttpRequest): string {
  return request.url?.split('?')[0] ?? ''
}

/**
 * As the client spelt it, so that addresses in answers reach the service by the same way. Official
 * producers leave the port out of what they call Host.
 */
function originOf(request: HttpRequest): string {
  const { socket, headers } = request
  const scheme = 'encrypted' in socket ? 'https' : 'http'
  const host = headers.host ?? String(headers[':authority'])
  const hasPort = /:\d+$/.test(host) || socket.localPort === undefined
  const origin = `${scheme}://${host}${hasPort ? '' : `:${socket.localPort}`}`
  return URL.canParse(origin) ? new URL(origin).origin : origin
}

function toSignedRequest(request: HttpRequest) {
  return { method: request.method!, target: request.url!, headers: request.headers }
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {}
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    throw new ServiceError(
      'invalid-argument',
      'SerializationException',
      'The request body is not JSON.',
    )
  }
}
