import type { Fragment } from '../domain/fragment.ts'
import { stableUuid } from './image-object.ts'
import type { FragmentTags } from './fragment-tags.ts'

/** Word of a fragment, in the envelope of SNS (developer guide, "Notifications"; SNS: "Notification"). */
export type Notification = {
  /** The same on every attempt. */
  readonly messageId: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * What a subscriber of the service's topic gets. The envelope has the members of SNS, but not its
 * signature, which needs a certificate of Amazon's: Standard Webhooks headers sign the whole instead.
 *
 * @param topic the ARN, or the URL that is in its place
 */
export function toNotification(options: {
  readonly streamArn: string
  readonly topic: string
  readonly fragment: Pick<
    Fragment,
    'fragmentNumber' | 'producerTimestamp' | 'serverTimestamp' | 'arrivalSpanMs'
  >
  readonly tags: FragmentTags
}): Notification {
  const { streamArn, topic, fragment, tags } = options
  const messageId = stableUuid(`${streamArn}\n${fragment.fragmentNumber}`)
  const message = {
    StreamArn: streamArn,
    FragmentNumber: fragment.fragmentNumber,
    FragmentStartProducerTimestamp: fragment.producerTimestamp,
    FragmentStartServerTimestamp: fragment.serverTimestamp,
    NotificationType: 'PERSISTED',
    NotificationPayload: Object.fromEntries(tags.own),
  }
  const envelope = {
    Type: 'Notification',
    MessageId: messageId,
    TopicArn: topic,
    Subject: 'Kinesis Video Streams Notification',
    Message: JSON.stringify(message),
    // The same on every attempt, like the rest.
    Timestamp: new Date(fragment.serverTimestamp + fragment.arrivalSpanMs).toISOString(),
    SignatureVersion: '1',
    Signature: '',
    SigningCertURL: '',
    UnsubscribeURL: '',
  }
  return {
    messageId,
    headers: {
      'content-type': 'text/plain; charset=UTF-8', // as SNS sends its JSON
      'user-agent': 'Kinora-Notifications/1',
      'x-amz-sns-message-type': 'Notification',
      'x-amz-sns-message-id': messageId,
      'x-amz-sns-topic-arn': topic,
    },
    body: JSON.stringify(envelope),
  }
}
