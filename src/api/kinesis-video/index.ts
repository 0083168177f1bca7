import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { IngestDeps, LiveSessions } from '../../ingest/index.ts'
import { createSignatureVerifier, type AccessKeys } from '../auth/index.ts'
import type { HttpRequest, HttpResponse } from '../http-server.ts'
import { toWireError } from './errors.ts'
import { putMedia } from './put-media.ts'

export type KinesisVideoApiParts = IngestDeps & {
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

/** The Amazon Kinesis Video Streams API. So far it is PutMedia. */
export function createKinesisVideoApi(parts: KinesisVideoApiParts): KinesisVideoApi {
  const { accessKeys, clock, log, metrics } = parts
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // one per producer
  const answering = new Set<Promise<void>>()
  const verifier = createSignatureVerifier({ service: 'kinesisvideo', accessKeys, clock })

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const requestId = randomUUID()
    response.setHeader('x-amzn-RequestId', requestId)
    response.setHeader('date', new Date(clock.now()).toUTCString())
    try {
      verifier.verify(
        { method: request.method!, target: request.url!, headers: request.headers },
        { kind: 'streamed' },
      )
      await putMedia(parts, request, response, stopping.signal)
      metrics.httpRequests.inc({ edge: 'kinesis-video', status: '200' })
    } catch (error) {
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

  return {
    handles: (request) => request.method === 'POST' && request.url?.split('?')[0] === '/putMedia',
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
