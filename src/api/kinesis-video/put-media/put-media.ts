import type { ServerResponse } from 'node:http'
import { ServiceError } from '../../../domain/errors.ts'
import {
  PutMediaSession,
  toAcknowledgementLine,
  type Acknowledgement,
  type IngestDeps,
  type LiveSessions,
  type PutMediaLimits,
} from '../../../ingest/index.ts'
import type { HttpRequest, HttpResponse } from '../../http-server.ts'
import type { PutMediaHeaders } from './put-media-headers.ts'

/**
 * PutMedia: media comes in the request's body while acknowledgements go out in the answer's, one line
 * at a time. Everything that can be refused is refused before the answer begins.
 *
 * @throws ServiceError before the answer has begun; afterwards errors are acknowledged
 */
export async function putMedia(
  deps: IngestDeps & { readonly sessions: LiveSessions; readonly putMediaLimits?: PutMediaLimits },
  headers: PutMediaHeaders,
  request: HttpRequest,
  response: HttpResponse,
  stopping: AbortSignal,
): Promise<void> {
  checkStream(deps, headers)
  const answer = response as ServerResponse // HTTP/2's compatibility API has the same calls
  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the producer is gone')))
  const session = await PutMediaSession.open(deps, {
    ...deps.putMediaLimits,
    stream: headers.stream,
    producerStart: headers.producerStart,
    peer: `${request.socket.remoteAddress}:${request.socket.remotePort}`,
    signal: gone.signal,
    acknowledge: (acknowledgement) => send(acknowledgement),
  })

  function send(acknowledgement: Acknowledgement): void {
    const isWanted = headers.wantsAcknowledgements || acknowledgement.type === 'ERROR'
    if (isWanted && !gone.signal.aborted) answer.write(toAcknowledgementLine(acknowledgement))
    if (acknowledgement.type !== 'ERROR') return
    const { code, message } = acknowledgement
    deps.log.warn({ stream: headers.stream, code, detail: message }, 'PutMedia refused a fragment')
  }

  request.socket.setNoDelay(true)
  response.statusCode = 200
  response.setHeader('content-type', 'application/json')
  answer.flushHeaders()
  const stop = () => session.stop()
  stopping.addEventListener('abort', stop)
  const isWhole = await receive(request, session)
  stopping.removeEventListener('abort', stop)
  await session.end(isWhole ? 'unpublished' : stopping.aborted ? 'shutdown' : 'peer-closed')
  response.end()
  // What is left of the body is not read, so no request can follow it.
  if (!isWhole) response.once('finish', () => request.socket.destroySoon())
}

/**
 * Moves the body into the session; whether it came to its end. By events, not by iteration: what has
 * come is taken even when the connection breaks right behind it.
 */
function receive(request: HttpRequest, session: PutMediaSession): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = (isWhole: boolean) => {
      request.removeAllListeners('data')
      request.pause()
      resolve(isWhole)
    }
    request.on('data', (bytes: Buffer) => {
      const wait = session.push(bytes)
      if (wait === null) return
      request.pause()
      wait.then(
        () => request.resume(),
        () => undefined, // it is over
      )
    })
    request.once('end', () => stop(true))
    request.once('error', () => stop(false))
    request.once('close', () => stop(false))
    if (session.over.aborted) stop(false)
    else session.over.addEventListener('abort', () => stop(false), { once: true })
  })
}

function checkStream({ registry }: IngestDeps, { stream, createdAtMs }: PutMediaHeaders): void {
  const info = registry.find(stream)
  if (info !== null && (createdAtMs === null || info.createdAt === createdAtMs)) return
  throw new ServiceError(
    'not-found',
    'ResourceNotFoundException',
    'The requested stream is not found or not active.',
  )
}
