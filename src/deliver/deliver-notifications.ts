import type { Fragment } from '../domain/fragment.ts'
import type { OutboundRequest } from '../platform/outbound/send-request.ts'
import { signWebhook } from '../platform/outbound/sign-webhook.ts'
import { deliver } from './deliver.ts'
import { NOTIFICATION_TAG, readFragmentTags } from './fragment-tags.ts'
import { toNotification, type Notification } from './notification.ts'
import type { DeliveriesOptions } from './start-deliveries.ts'

/** Delivers word of each fragment, in order; again under the same id after a crash. */
export function createNotificationDelivery(options: DeliveriesOptions) {
  const { archive, registry, terms, metrics, clock, events } = options

  return async (fragment: Fragment, signal: AbortSignal): Promise<void> => {
    const stream = registry.findById(fragment.streamId)
    if (stream === null || stream.notification?.enabled !== true) return // changed meanwhile
    const tags = readFragmentTags((await archive.read(fragment)).bytes)
    if (terms.notifications === 'tagged' && !tags.asks.has(NOTIFICATION_TAG)) {
      metrics.deliverUntagged.inc({ stream: stream.name, kind: 'notification' })
      return
    }
    const topic = stream.notification.destinationUri
    const streamArn = options.streamArnOf(stream)
    const notification = toNotification({ streamArn, topic, fragment, tags })
    const about = { stream: stream.name, kind: 'notification' } as const
    await deliver(toRequest(topic, notification), about, { clock, events, signal })
    events.notificationDelivered({ stream: stream.name, messageId: notification.messageId })
  }

  /** `null` for a topic that the configuration does not map. */
  function toRequest(topic: string, notification: Notification): OutboundRequest | null {
    const mapped = terms.topics.get(topic)
    const url = mapped ?? (/^https?:/i.test(topic) ? new URL(topic) : null)
    if (url === null) return null
    const { messageId: id, body, headers } = notification
    const signature =
      terms.secrets.length === 0 ? {} : signWebhook({ id, body }, terms.secrets, clock.now())
    return {
      ...{ method: 'POST', url, headers: { ...headers, ...signature }, body: Buffer.from(body) },
      timeoutMs: terms.timeoutMs,
      allowPrivateAddresses: mapped !== undefined || terms.allowPrivateAddresses,
    }
  }
}
