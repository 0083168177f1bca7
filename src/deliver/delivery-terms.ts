import type { AccessKey } from '../platform/sigv4/sign-request.ts'

/** How what streams ask to have delivered is delivered. */
export type DeliveryTerms = {
  /** `tagged`: of fragments that the producer tagged for it, as the service does; `all`: of every one. */
  readonly images: 'tagged' | 'all'
  readonly notifications: 'tagged' | 'all'
  /** Where `s3://` leads; `null`: nowhere. */
  readonly s3: {
    readonly endpoint: URL
    readonly region: string
    readonly key: AccessKey
  } | null
  /** URL by the ARN of an SNS topic. */
  readonly topics: ReadonlyMap<string, URL>
  /** Standard Webhooks; sign notifications. None: they are not signed. */
  readonly secrets: readonly string[]
  readonly timeoutMs: number
  /** Of URLs that clients of the API set; the S3 endpoint and topics are the operator's. */
  readonly allowPrivateAddresses: boolean
}
