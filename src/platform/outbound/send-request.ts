import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Clock } from '../clock.ts'
import { isPublicAddress } from './public-address.ts'

/** A request to somebody else's server. */
export type OutboundRequest = {
  readonly method: 'POST' | 'PUT'
  readonly url: URL
  /** Besides the length. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** From the look-up of the name to the answer's last byte. */
  readonly timeoutMs: number
  /** Else only addresses on the public internet are connected to. */
  readonly allowPrivateAddresses: boolean
}

/** How it ended; `reason` is one of a closed set: it becomes a metric's label. */
export type SentRequest =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | undefined }
  | {
      readonly kind: 'failed'
      readonly reason: 'timeout' | 'connection' | 'address-not-allowed'
    }

/** More than this of an answer is not even read: the connection is closed. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * Sends a request once. Redirects are answers and not followed; the answer's body is thrown away,
 * with a limit. Rejects only with the signal's reason.
 */
export async function sendRequest(
  request: OutboundRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<SentRequest> {
  signal.throwIfAborted()
  const ended = new AbortController()
  const end = () => ended.abort(signal.reason)
  signal.addEventListener('abort', end, { once: true })
  const timeout = clock.sleep(request.timeoutMs, ended.signal).then(
    () => ended.abort(new SendFailure('timeout')),
    () => undefined, // it ended before
  )
  try {
    return { kind: 'answered', ...(await send(request, ended.signal)) }
  } catch (error) {
    signal.throwIfAborted()
    const cause: unknown = ended.signal.aborted ? ended.signal.reason : error
    return { kind: 'failed', reason: cause instanceof SendFailure ? cause.reason : 'connection' }
  } finally {
    signal.removeEventListener('abort', end)
    ended.abort()
    await timeout
  }
}

class SendFailure extends Error {
  readonly reason: 'timeout' | 'address-not-allowed'
  constructor(reason: 'timeout' | 'address-not-allowed') {
    super(reason)
    this.reason = reason
  }
}

type Answer = { readonly status: number; readonly retryAfter: string | undefined }

function send(request: OutboundRequest, signal: AbortSignal) {
  return new Promise<Answer>((resolve, reject) => {
    const { url, body, allowPrivateAddresses } = request
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest
    const address = url.hostname.replace(/^\[|\]$/g, '')
    // An address in the URL itself is connected to without a look-up.
    if (!allowPrivateAddresses && isIP(address) !== 0 && !isPublicAddress(address)) {
      throw new SendFailure('address-not-allowed')
    }
    const outgoing: ClientRequest = open(url, {
      method: request.method,
      agent: false, // one connection per attempt: nothing half-open is ever used again
      signal,
      headers: { ...request.headers, 'content-length': body.length },
      ...(allowPrivateAddresses ? {} : { lookup: lookupPublic }),
    })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const { statusCode: status = 0, headers } = incoming
      discard(incoming, () => resolve({ status, retryAfter: headers['retry-after'] }))
    })
    outgoing.end(body)
  })
}

/** Reads to the end, the limit, the timeout or an error: the status counts in every case. */
function discard(incoming: IncomingMessage, done: () => void): void {
  let bytes = 0
  incoming.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) incoming.destroy()
  })
  incoming.on('error', done)
  incoming.on('close', done)
  incoming.on('end', done)
}

/**
 * The address that is checked is the one connected to: checking before and connecting by name would
 * let a name change its mind in between.
 */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const first = addresses?.[0]
    if (error !== null || first === undefined) {
      callback(error ?? new Error('no address'), '', 4)
      return
    }
    if (!addresses.every(({ address }) => isPublicAddress(address))) {
      callback(new SendFailure('address-not-allowed'), '', 4)
      return
    }
    if (options.all === true) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}
