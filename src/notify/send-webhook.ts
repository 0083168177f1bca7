import type { Clock } from '../platform/clock.ts'
import { sendRequest } from '../platform/outbound/send-request.ts'
import { signWebhook } from '../platform/outbound/sign-webhook.ts'
import type { Hook } from './hook.ts'
import { parseRetryAfter, type AttemptOutcome } from './plan-retry.ts'

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

/** POSTs a message with Standard Webhooks headers. Redirects are failures and not followed. */
export function createSendWebhook(clock: Clock): SendWebhook {
  return async (hook, { deliveryId, body }, signal) => {
    const { url, secrets, timeoutMs, allowPrivateAddresses } = hook
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Kinora-Webhooks/1',
      ...signWebhook({ id: deliveryId, body }, secrets, clock.now()),
    }
    const sent = await sendRequest(
      {
        ...{ method: 'POST', url, headers, body: Buffer.from(body) },
        ...{ timeoutMs, allowPrivateAddresses },
      },
      clock,
      signal,
    )
    if (sent.kind === 'failed') {
      return { kind: 'failed', reason: sent.reason, slowDown: false, retryAfterMs: null }
    }
    return toOutcome(sent, clock.now())
  }
}

function toOutcome(
  { status, retryAfter }: { readonly status: number; readonly retryAfter: string | undefined },
  nowMs: number,
): AttemptOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  if (status === 410) return { kind: 'gone' }
  const retryAfterMs = parseRetryAfter(retryAfter, nowMs)
  const slowDown = status === 429 || status === 502 || status === 504 || retryAfterMs !== null
  return { kind: 'failed', reason: `status-${status}`, slowDown, retryAfterMs }
}
