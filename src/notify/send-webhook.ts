import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { Hook } from './hook.ts'
import { parseRetryAfter, type AttemptOutcome } from './plan-retry.ts'
import { isPublicAddress } from './public-address.ts'

export type WebhookMessage = {
  readonly deliveryId: string
  /** The JSON body, the same on every attempt. */
  readonly body: string
}

/** Sends once and tells how it ended; rejects only with the signal's reason. */
export type SendWebhook = (
  hook: Hook,
  message: WebhookMessage,
  signal: AbortSignal,
) => Promise<AttemptOutcome>

/** More than this of an answer is not even read: the connection is closed. */
const MAX_ANSWER_BYTES = 64 * 1024

/**
 * POSTs a message with Standard Webhooks headers. Redirects are failures and not followed; the
 * answer's body is thrown away, with a limit; the timeout covers name look-up to last byte.
 */
export function createSendWebhook(clock: Clock): SendWebhook {
  return async (hook, message, signal) => {
    signal.throwIfAborted()
    const ended = new AbortController()
    const end = () => ended.abort(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    const timeout = clock.sleep(hook.timeoutMs, ended.signal).then(
      () => ended.abort(new SendFailure('timeout')),
      () => undefined, // it ended before
    )
    try {
      const answer = await post(hook, message, clock.now(), ended.signal)
      return toOutcome(answer, clock.now())
    } catch (error) {
      signal.throwIfAborted()
      const cause: unknown = ended.signal.aborted ? ended.signal.reason : error
      const reason = cause instanceof SendFailure ? cause.reason : 'connection'
      return { kind: 'failed', reason, slowDown: false, retryAfterMs: null }
    } finally {
      signal.removeEventListener('abort', end)
      ended.abort()
      await timeout
    }
  }
}

/** `reason` is one of a closed set: it becomes a metric's label. */
class SendFailure extends Error {
  readonly reason: 'timeout' | 'address-not-allowed'
  constructor(reason: 'timeout' | 'address-not-allowed') {
    super(reason)
    this.reason = reason
  }
}

type Answer = { readonly status: number; readonly retryAfter: string | undefined }

function post(hook: Hook, message: WebhookMessage, now: EpochMs, signal: AbortSignal) {
  return new Promise<Answer>((resolve, reject) => {
    const body = Buffer.from(message.body)
    const send = hook.url.protocol === 'https:' ? httpsRequest : httpRequest
    const address = hook.url.hostname.replace(/^\[|\]$/g, '')
    // An address in the URL itself is connected to without a look-up.
    if (!hook.allowPrivateAddresses && isIP(address) !== 0 && !isPublicAddress(address)) {
      throw new SendFailure('address-not-allowed')
    }
    const outgoing: ClientRequest = send(hook.url, {
      method: 'POST',
      agent: false, // one connection per attempt: nothing half-open is ever used again
      signal,
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        'user-agent': 'Kinora-Webhooks/1',
        ...signMessage(hook, message, now),
      },
      ...(hook.allowPrivateAddresses ? {} : { lookup: lookupPublic }),
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

function signMessage(hook: Hook, { deliveryId, body }: WebhookMessage, now: EpochMs) {
  const sentAt = new Date(now)
  return {
    'webhook-id': deliveryId,
    'webhook-timestamp': String(Math.floor(now / 1_000)),
    // Several signatures during a change of the secret, separated by spaces.
    'webhook-signature': hook.secrets
      .map((secret) => new Webhook(secret).sign(deliveryId, sentAt, body))
      .join(' '),
  }
}

function toOutcome({ status, retryAfter }: Answer, nowMs: number): AttemptOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  if (status === 410) return { kind: 'gone' }
  const retryAfterMs = parseRetryAfter(retryAfter, nowMs)
  const slowDown = status === 429 || status === 502 || status === 504 || retryAfterMs !== null
  return { kind: 'failed', reason: `status-${status}`, slowDown, retryAfterMs }
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
