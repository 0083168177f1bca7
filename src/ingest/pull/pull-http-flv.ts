import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { ServiceError } from '../../domain/errors.ts'
import { FlvReader } from '../flv/flv-reader.ts'
import { ClientAuthentication } from '../rtsp/client-authentication.ts'
import { FlvFeed } from './flv-feed.ts'
import { toPullError } from './pull-ending.ts'
import { PullError, type Pull, type PullDeps, type PullTarget } from './pull.ts'

/** Pulls FLV over HTTP or HTTPS, as cameras (Reolink) and media servers offer it. */
export const pullHttpFlv: Pull = async (target, deps, signal) => {
  const over = new AbortController()
  const leave = () => over.abort(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  let peer = ''
  const feed = new FlvFeed(target, deps, { protocol: 'http-flv-pull', peer: () => peer, signal })
  let failure: PullError | null = null
  try {
    const response = await open(target, deps, over.signal)
    peer = `${response.socket.remoteAddress}:${response.socket.remotePort}`
    await Promise.race([read(response, feed, deps), feed.watch(over.signal)])
  } catch (error) {
    if (!signal.aborted) failure = toFailure(error)
  } finally {
    signal.removeEventListener('abort', leave)
    over.abort() // destroys the connection
  }
  await feed.end(failure)
  if (failure !== null) throw failure
}

/** Follows redirects and answers challenges until media is on its way. */
async function open(
  target: PullTarget,
  { clock }: PullDeps,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = target.url
  let redirects = 0
  const { credentials } = target
  let login = credentials === null ? null : new ClientAuthentication(credentials)
  for (;;) {
    const authorisation = login?.answer('GET', url.pathname + url.search) ?? null
    const response = await withTimeLimit(
      (limited) => ask(url, { authorisation, target, signal: limited }),
      { ms: 2 * target.connectTimeoutMs, clock, signal },
    )
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    if (statusCode === 401) {
      const challenges = headers['www-authenticate']
      if (login === null) throw new PullError('unauthorised', 'The source wants a password.')
      if (challenges === undefined || !login.learn([challenges])) {
        throw new PullError('unauthorised', 'The source does not accept the password.')
      }
    } else if (REDIRECTS.has(statusCode) && headers.location !== undefined) {
      if (++redirects > MAX_REDIRECTS) {
        throw new PullError('protocol-error', 'The source redirects without end.')
      }
      const next = toRedirect(headers.location, url)
      // A password goes to nobody but the one that it was given for.
      login = next.origin === target.url.origin ? login : null
      url = next
    } else {
      throw toRefusal(statusCode)
    }
  }
}

function ask(
  url: URL,
  options: {
    readonly authorisation: string | null
    readonly target: PullTarget
    readonly signal: AbortSignal
  },
): Promise<IncomingMessage> {
  const { authorisation, target, signal } = options
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      agent: false, // one connection, which ends with the pull
      signal,
      rejectUnauthorized: target.verifyCertificate,
      headers: {
        accept: '*/*',
        'user-agent': 'Kinora',
        ...(authorisation === null ? {} : { authorization: authorisation }),
      },
    })
    let hasTcp = false
    request.once('socket', (socket) => socket.once('connect', () => (hasTcp = true)))
    request.once('response', resolve)
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isLate = signal.reason instanceof PullError
      if (signal.aborted && !isLate) reject(signal.reason as Error)
      else reject(hasTcp && isLate ? signal.reason : toConnectFailure(error, hasTcp))
    })
    request.end()
  })
}

/** Ends with the response, or with what is wrong about it. */
async function read(response: IncomingMessage, feed: FlvFeed, { clock }: PullDeps): Promise<never> {
  const reader = new FlvReader(MAX_TAG_BYTES)
  for await (const bytes of response) {
    const arrivedAt = clock.now()
    reader.push(bytes as Buffer)
    for (let tag = reader.next(); tag !== null; tag = reader.next()) {
      const wait = feed.take(tag, arrivedAt)
      if (wait !== null) await wait
    }
  }
  throw new PullError('peer-closed', 'The source has ended its stream.')
}

/** @throws PullError `no-answer`; what the work throws */
async function withTimeLimit<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limit: { readonly ms: number; readonly clock: PullDeps['clock']; readonly signal: AbortSignal },
): Promise<T> {
  const tooLate = new AbortController()
  const done = new AbortController()
  const { ms, clock, signal } = limit
  clock.sleep(ms, done.signal).then(
    () => tooLate.abort(new PullError('no-answer', 'The source does not answer in time.')),
    () => undefined, // it has answered
  )
  try {
    return await work(AbortSignal.any([signal, tooLate.signal]))
  } finally {
    done.abort()
  }
}

/** @throws PullError for what is no HTTP */
function toRedirect(location: string, from: URL): URL {
  if (URL.canParse(location, from.href)) {
    const url = new URL(location, from)
    const isWeb = url.protocol === 'http:' || url.protocol === 'https:'
    // Nobody who asked for TLS is led away from it.
    if (isWeb && (from.protocol === 'http:' || url.protocol === 'https:')) return url
  }
  throw new PullError('protocol-error', 'The source redirects to where we do not go.')
}

function toRefusal(statusCode: number): PullError {
  const message = `The source answers ${statusCode}.`
  if (statusCode === 403) return new PullError('unauthorised', message)
  if (statusCode === 404 || statusCode === 410) return new PullError('not-found', message)
  return new PullError('no-media', message)
}

function toConnectFailure(error: NodeJS.ErrnoException, hasTcp: boolean): PullError {
  const { code = 'unknown' } = error
  if (code.startsWith('HPE_')) {
    return new PullError('protocol-error', `The source sends no HTTP: ${code}.`, error)
  }
  if (!hasTcp) return new PullError('unreachable', `The source cannot be reached: ${code}.`, error)
  if (code === 'ECONNRESET') {
    return new PullError('peer-closed', 'The source closed without an answer.', error)
  }
  return new PullError('tls', `No secure connection: ${code}.`, error)
}

function toFailure(error: unknown): PullError {
  if (error instanceof PullError) return error
  if (error instanceof ServiceError && error.kind === 'malformed-media') {
    return new PullError('protocol-error', `The source sends no FLV: ${error.message}`, error)
  }
  const isOfConnection = (error as NodeJS.ErrnoException | null)?.code !== undefined
  if (error instanceof ServiceError || !isOfConnection) return toPullError(error)
  return new PullError('peer-closed', 'The connection broke.', error)
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])
const MAX_REDIRECTS = 5
const MAX_TAG_BYTES = 8 * 1024 * 1024
