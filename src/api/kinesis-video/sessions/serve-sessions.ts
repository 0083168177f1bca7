import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { ServiceError } from '../../../domain/errors.ts'
import type { AccessKeys } from '../../auth/index.ts'
import { ConnectionTurns } from '../../connection-turns.ts'
import type { HttpRequest, HttpResponse } from '../../http-server.ts'
import { measured } from '../archived/measured.ts'
import type { CallRates } from '../call-rates.ts'
import { toWireError } from '../errors.ts'
import type { KinesisVideoService } from '../operation.ts'
import { openSessionToken, type SessionGrant } from './session-grant.ts'
import { noSuchFile, sessionFiles, type FileContent, type SessionFile } from './session-files.ts'

export type SessionServerParts = KinesisVideoService & {
  readonly accessKeys: AccessKeys
  readonly openTo?: readonly string[] | undefined
  readonly callRates?: CallRates
}

/** What session URLs lead to: playlists, manifests and media, for any player on any site. */
export type SessionServer = {
  readonly handles: (request: HttpRequest) => boolean
  /** Never rejects. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>
}

/**
 * Never changes, so it need not be asked for again; but not for ever, since media can be deleted, and
 * not in shared caches, since a session ends.
 */
const IMMUTABLE = 'private, max-age=43200, immutable'
/** Who holds a URL may use it from any site: the token in it is the right, and no cookie is looked at. */
const FOR_EVERY_SITE = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, OPTIONS',
  'access-control-allow-headers': '*',
  'access-control-expose-headers': 'Content-Length, Date, x-amzn-ErrorType, x-amzn-RequestId',
  'access-control-max-age': '86400',
  'cross-origin-resource-policy': 'cross-origin',
  'timing-allow-origin': '*',
  'x-content-type-options': 'nosniff',
}

export function createSessionServer(parts: SessionServerParts): SessionServer {
  const { clock, log, metrics } = parts
  const turns = new ConnectionTurns()

  async function answer(request: HttpRequest, response: ServerResponse, url: URL): Promise<void> {
    const file = sessionFiles.get(url.pathname)!
    const token = url.searchParams.get('SessionToken') ?? ''
    const grant = openGrant(token, file)
    parts.callRates?.take(file.operation, token)
    await turns.take(request, response)
    const { streaming } = parts
    const content = await measured(metrics, file.operation, grant.stream, () =>
      file.read({ streaming, grant, token, query: url.searchParams }),
    )
    response.setHeader('content-type', file.contentType)
    await send(request, response, content, grant)
  }

  function openGrant(token: string, file: SessionFile): SessionGrant {
    const grant = openSessionToken(parts, token)
    const isWithdrawn = parts.openTo === undefined && parts.accessKeys(grant.accessKeyId) === null
    if (isWithdrawn) {
      throw new ServiceError('permission-denied', 'SessionEnded', 'The session has been ended.')
    }
    const isOther = file.container !== 'any' && file.container !== grant.container
    if (file.protocol !== grant.protocol || isOther) throw noSuchFile()
    return grant
  }

  async function send(
    request: HttpRequest,
    response: ServerResponse,
    content: FileContent,
    { stream: { name: stream }, protocol, container }: SessionGrant,
  ): Promise<void> {
    if (content.kind === 'document') {
      metrics.playbackFragmentsConsumed.inc({ stream, bucket: 'metadata' }, content.fragments)
      response.setHeader('cache-control', 'no-cache')
      await sendDocument(request, response, content.text)
      return
    }
    response.setHeader('cache-control', IMMUTABLE)
    if (content.kind === 'init') {
      sendBytes(request, response, content.bytes)
      return
    }
    const { bytes, release } = content.segment
    const format = protocol === 'DASH' ? 'dash' : container === 'MPEG_TS' ? 'hls-ts' : 'hls'
    metrics.playbackFragmentsConsumed.inc({ stream, bucket: 'media' })
    response.once('finish', () => {
      if (request.method === 'GET') metrics.playbackBytes.inc({ stream, format }, bytes.length)
      // An HTTP/2 session may go on reading what a stream that was reset had queued.
      if (request.httpVersionMajor === 1) release()
    })
    sendBytes(request, response, bytes)
  }

  function refuse(error: unknown, requestId: string, response: ServerResponse): void {
    if (response.destroyed) return // there is nobody to answer
    const { status, type, body } = toWireError(error, 'access-denied')
    // 401 would have browsers ask for a password.
    const shown = status === 401 ? 403 : status
    if (status >= 500) log.error({ err: error, requestId }, 'a session file could not be served')
    metrics.httpRequests.inc({ edge: 'kinesis-video-session', status: String(shown) })
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.statusCode = shown
    response.setHeader('x-amzn-ErrorType', type)
    response.setHeader('content-type', 'application/json')
    response.setHeader('cache-control', 'no-store')
    response.end(JSON.stringify(body))
  }

  return {
    handles: (request) =>
      METHODS.has(request.method ?? '') && sessionFiles.has(request.url?.split('?')[0] ?? ''),
    handle: async (request, response) => {
      const answered = response as ServerResponse // HTTP/2's compatibility API has the same calls
      const requestId = randomUUID()
      answered.setHeader('x-amzn-RequestId', requestId)
      answered.setHeader('date', new Date(clock.now()).toUTCString())
      for (const [name, value] of Object.entries(FOR_EVERY_SITE)) answered.setHeader(name, value)
      if (request.method === 'OPTIONS') {
        answered.statusCode = 204
        answered.end()
        return
      }
      try {
        await answer(request, answered, new URL(request.url!, 'http://session'))
        metrics.httpRequests.inc({ edge: 'kinesis-video-session', status: '200' })
      } catch (error) {
        refuse(error, requestId, answered)
      }
    },
  }
}

const METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])
/** A playlist of thousands repeats its token in every line. */
const COMPRESSED_FROM_BYTES = 2048
const compress = promisify(gzip)

async function sendDocument(
  request: HttpRequest,
  response: ServerResponse,
  text: string,
): Promise<void> {
  const accepted = String(request.headers['accept-encoding'] ?? '')
  response.setHeader('vary', 'accept-encoding')
  if (text.length < COMPRESSED_FROM_BYTES || !/\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(accepted)) {
    sendBytes(request, response, Buffer.from(text))
    return
  }
  response.setHeader('content-encoding', 'gzip')
  sendBytes(request, response, await compress(text, { level: 4 }))
}

function sendBytes(request: HttpRequest, response: ServerResponse, bytes: Uint8Array): void {
  response.statusCode = 200
  response.setHeader('content-length', bytes.length)
  response.end(request.method === 'HEAD' ? undefined : bytes)
}
