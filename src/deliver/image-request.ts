import type { OutboundRequest } from '../platform/outbound/send-request.ts'
import { percentEncode, sha256Hex } from '../platform/sigv4/canonical-request.ts'
import { signRequest } from '../platform/sigv4/sign-request.ts'
import type { DeliveryTerms } from './delivery-terms.ts'
import type { ImageObject } from './image-object.ts'

/**
 * The request that delivers an image: a PutObject for `s3://bucket/prefix`, a POST for a URL.
 *
 * @returns `null` when there is nowhere to deliver to: `s3://` without a configured endpoint
 */
export function toImageRequest(
  destinationUri: string,
  { object, bytes }: { readonly object: ImageObject; readonly bytes: Uint8Array },
  { terms, now }: { readonly terms: DeliveryTerms; readonly now: Date },
): OutboundRequest | null {
  const bucket = /^s3:\/\/([^/]+)\/?(.*)$/.exec(destinationUri)
  if (bucket === null) return toPost(destinationUri, object, bytes, terms)
  if (terms.s3 === null) return null
  const prefix = bucket[2]!.replace(/\/+$/, '')
  return toPutObject(terms.s3, {
    ...{ bucket: bucket[1]!, key: prefix === '' ? object.name : `${prefix}/${object.name}` },
    ...{ object, bytes, now, timeoutMs: terms.timeoutMs },
  })
}

/** S3 API: PutObject, in the path style that every compatible server knows. */
function toPutObject(
  { endpoint, region, key }: NonNullable<DeliveryTerms['s3']>,
  put: {
    readonly bucket: string
    readonly key: string
    readonly object: ImageObject
    readonly bytes: Uint8Array
    readonly now: Date
    readonly timeoutMs: number
  },
): OutboundRequest {
  const { object, bytes, now } = put
  const base = endpoint.pathname.replace(/\/$/, '')
  const path = [put.bucket, ...put.key.split('/')].map(percentEncode).join('/')
  const target = `${base}/${path}`
  const unsigned = {
    host: endpoint.host,
    'content-type': object.contentType,
    'x-amz-content-sha256': sha256Hex(bytes),
    ...Object.fromEntries([...object.metadata].map(([name, text]) => [`x-amz-meta-${name}`, text])),
  }
  const signed = signRequest({ method: 'PUT', target, headers: unsigned }, bytes, {
    ...{ key, region, service: 's3', now, paths: 'as-sent' },
  })
  return {
    method: 'PUT',
    url: new URL(target, endpoint.origin),
    headers: { ...unsigned, ...signed },
    body: bytes,
    timeoutMs: put.timeoutMs,
    allowPrivateAddresses: true, // the operator's own
  }
}

/** Name and metadata as headers of ours: proxies drop those with underscores. */
function toPost(
  url: string,
  { name, contentType, metadata }: ImageObject,
  body: Uint8Array,
  { timeoutMs, allowPrivateAddresses }: DeliveryTerms,
): OutboundRequest {
  return {
    method: 'POST',
    url: new URL(url),
    headers: {
      'content-type': contentType,
      'user-agent': 'Kinora-Images/1',
      'x-kinora-object-name': encodeURI(name),
      'x-kinora-metadata': JSON.stringify(Object.fromEntries(metadata)),
    },
    ...{ body, timeoutMs, allowPrivateAddresses },
  }
}
