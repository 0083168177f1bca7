import { Webhook } from 'standardwebhooks'
import type { EpochMs } from '../../domain/time.ts'

/**
 * The headers of Standard Webhooks 1.0.0 for a body.
 *
 * @param id the same on every attempt
 * @param secrets `whsec_` and base64; several during a change of the secret
 */
export function signWebhook(
  { id, body }: { readonly id: string; readonly body: string },
  secrets: readonly string[],
  now: EpochMs,
): Readonly<Record<string, string>> {
  const sentAt = new Date(now)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now / 1_000)),
    // Separated by spaces.
    'webhook-signature': secrets
      .map((secret) => new Webhook(secret).sign(id, sentAt, body))
      .join(' '),
  }
}
