import { ServiceError } from '../domain/errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Events } from '../observe/events.ts'
import { sendRequest, type OutboundRequest } from '../platform/outbound/send-request.ts'

/** What is delivered, for metrics and messages. */
export type DeliveryKind = 'image' | 'notification'

/**
 * Sends a request until its end.
 *
 * @param request `null`: there is nowhere to send it to
 * @throws ServiceError `unavailable`/`DeliveryFailed`: try again later
 */
export async function deliver(
  request: OutboundRequest | null,
  about: { readonly stream: string; readonly kind: DeliveryKind },
  { clock, events, signal }: { clock: Clock; events: Events; signal: AbortSignal },
): Promise<void> {
  const reason = request === null ? 'no-destination' : await send(request, clock, signal)
  if (reason === null) return
  events.deliveryFailed({ ...about, reason })
  // Never the URL: it may hold a token.
  throw new ServiceError(
    'unavailable',
    'DeliveryFailed',
    `The ${about.kind} was not taken: ${reason}.`,
  )
}

/** @returns why it was not taken: of a closed set, but for the status */
async function send(
  request: OutboundRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | null> {
  const sent = await sendRequest(request, clock, signal)
  if (sent.kind === 'failed') return sent.reason
  return sent.status >= 200 && sent.status < 300 ? null : `status-${sent.status}`
}
