import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { ServiceError } from '../../domain/errors.ts'
import type { IngestDeps, LiveSessions } from '../../ingest/index.ts'
import { createSignatureVerifier, type AccessKeys } from '../auth/index.ts'
import type { HttpRequest, HttpResponse } from '../http-server.ts'
import { jsonCodec } from '../kinesis/codec.ts'
import { readInput } from '../kinesis/input-schema.ts'
import { createBodyReader } from '../kinesis/request-body.ts'
import { toWireError } from './errors.ts'
import type { KinesisVideoService } from './operation.ts'
import { operations } from './operations.ts'
import { putMedia } from './put-media.ts'

export type KinesisVideoApiParts = IngestDeps &
  KinesisVideoService & {
    readonly sessions: LiveSessions
    readonly accessKeys: AccessKeys
  }

export type KinesisVideoApi = {
  /** Whether a request is for this API. */
  readonly handles: (request: HttpRequest) => boolean
  /** Answers it. Never rejects: when the connection is gone there is nobody to tell. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>
  /** Ends what is being sent; resolves when all that was taken of it is kept. */
  readonly close: () => Promise<void>
}

/**
 * The Amazon Kinesis Video Streams API: so far PutMedia and the edge configuration, which attaches
 * cameras.
 */
export function createKinesisVideoApi(parts: KinesisVideoApiParts): KinesisVideoApi {
  const { accessKeys, clock, log, metrics } = parts
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // one per producer
  const answering = new Set<Promise<void>>()
  const verifier = createSignatureVerifier({ service: 'kinesisvideo', accessKeys, clock })

  const bodies = createBodyReader({
    maxBytes: MAX_BODY_BYTES,
    maxBytesTogether: MAX_BODY_BYTES_TOGETHER,
  })

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const requestId = randomUUID()
    response.setHeader('x-amzn-RequestId', requestId)
    response.setHeader('date', new Date(clock.now()).toUTCString())
    try {
      if (pathOf(request) === PUT_MEDIA) {
        verifier.verify(toSignedRequest(request), { kind: 'streamed' })
        await putMedia(parts, request, response, stopping.signal)
      } else {
        const output = await operate(request)
        response.statusCode = 200
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(output))
      }
      metrics.httpRequests.inc({ edge: 'kinesis-video', status: '200' })
    } catch (error) {
      if (response.destroyed) {
        log.debug({ err: error, requestId }, 'Kinesis Video request broke off')
        return // there is nobody to answer
      }
      const { status, type, message } = toWireError(error)
      if (status >= 500) log.error({ err: error, requestId }, 'Kinesis Video request failed')
      else log.debug({ err: error, requestId }, 'Kinesis Video request refused')
      metrics.httpRequests.inc({ edge: 'kinesis-video', status: String(status) })
      if (response.headersSent) {
        response.destroy()
        return
      }
      response.statusCode = status
      response.setHeader('x-amzn-ErrorType', type)
      response.setHeader('content-type', 'application/json')
      // The body is not read, so no request can follow it.
      if (request.httpVersionMajor === 1) response.setHeader('connection', 'close')
      response.end(JSON.stringify({ Message: message }))
    }
  }

  async function operate(request: HttpRequest): Promise<object> {
    const operation = operations.get(pathOf(request))!
    const body = await bodies.read(request)
    if (!Buffer.isBuffer(body)) {
      throw new ServiceError('limit-exceeded', 'ClientLimitExceededException', BODY_REFUSED[body])
    }
    verifier.verify(toSignedRequest(request), { kind: 'whole', body })
    const input = readInput(operation.input, parseBody(body), jsonCodec)
    return operation.handle(input as never, parts)
  }

  return {
    handles: (request) => {
      const path = pathOf(request)
      return request.method === 'POST' && (path === PUT_MEDIA || operations.has(path))
    },
    handle: (request, response) => {
      const answered = answer(request, response).finally(() => answering.delete(answered))
      answering.add(answered)
      return answered
    },
    close: async () => {
      stopping.abort()
      await Promise.all(answering)
    },
  }
}

const PUT_MEDIA = '/putMedia'
const MAX_BODY_BYTES = 64 * 1024
const MAX_BODY_BYTES_TOGETHER = 16 * 1024 * 1024
const BODY_REFUSED = {
  'too-large': `The request is larger than ${MAX_BODY_BYTES} bytes.`,
  busy: 'Too many requests are being received.',
}

function pathOf(request: HttpRequest): string {
  return request.url?.split('?')[0] ?? ''
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
