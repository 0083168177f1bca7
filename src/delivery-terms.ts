import type { Config } from './config/index.ts'
import type { DeliveryTerms } from './deliver/index.ts'

/** The configuration of deliveries as the stage takes it. */
export function readDeliveryTerms(delivery: Config['delivery']): DeliveryTerms {
  const { images, notifications, timeoutMs, allowPrivateAddresses, secret, topics } = delivery
  const { s3Endpoint, s3Region, s3AccessKeyId, s3SecretAccessKey } = delivery
  return {
    ...{ images, notifications, timeoutMs, allowPrivateAddresses },
    s3:
      s3Endpoint === null || s3AccessKeyId === null || s3SecretAccessKey === null
        ? null
        : {
            endpoint: new URL(s3Endpoint),
            region: s3Region,
            key: { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey },
          },
    topics: new Map(topics.map(({ arn, url }) => [arn, new URL(url)])),
    secrets: secret === null ? [] : [secret],
  }
}
