import { createHash, createHmac } from 'node:crypto'
import { ACCESS_KEY, type RunningApi } from './running-api.ts'

export const JSON_TYPE = 'application/x-amz-json-1.1'
export const CBOR_TYPE = 'application/x-amz-cbor-1.1'

export type CallChange = { type?: string; target?: string; sign?: boolean; path?: string }

/** One signed request as bytes, without any client between. Text and bytes go as they are. */
export async function call(
  api: RunningApi,
  operation: string,
  body: unknown,
  change: CallChange = {},
) {
  const response = await send(api, operation, body, change)
  const bytes = Buffer.from(await response.arrayBuffer())
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text: bytes.toString(),
  }
}

/** As {@link call}, with the answer still to be read. */
export async function send(
  api: RunningApi,
  operation: string,
  body: unknown,
  change: CallChange & { signal?: AbortSignal } = {},
): Promise<Response> {
  const { type = JSON_TYPE, target = `Kinesis_20131202.${operation}`, sign = true } = change
  const payload =
    typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  const headers: Record<string, string> = { 'content-type': type, 'x-amz-target': target }
  if (sign) Object.assign(headers, signature(api, payload, target))
  return fetch(`${api.endpoint}${change.path ?? '/'}`, {
    method: 'POST',
    headers,
    body: payload,
    ...(change.signal !== undefined && { signal: change.signal }),
  })
}

function signature(
  api: RunningApi,
  body: string | Uint8Array,
  target: string,
): Record<string, string> {
  const hash = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const date = new Date(api.clock.now()).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${date.slice(0, 8)}/any/kinesis/aws4_request`
  const { host } = new URL(api.endpoint)
  const names = 'host;x-amz-date;x-amz-target'
  const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${date}\nx-amz-target:${target}\n\n${names}\n${hash(body)}`
  let key = Buffer.from(`AWS4${ACCESS_KEY.secretAccessKey}`)
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash(canonical)}`
  const value = createHmac('sha256', key).update(toSign).digest('hex')
  return {
    'x-amz-date': date,
    authorization: `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${value}`,
  }
}
