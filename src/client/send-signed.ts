import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { ServiceError, type ErrorKind } from '../domain/errors.ts'
import { signRequest } from '../platform/sigv4/sign-request.ts'
import type { KinesisVideoAccess } from './kinesis-video-access.ts'

/**
 * Begins a signed POST. The body is what is signed: empty for one that has no end, as the official
 * producers sign it.
 */
export function openSigned(
  { endpoint, credentials, region = 'us-east-1' }: KinesisVideoAccess,
  path: string,
  headers: Readonly<Record<string, string>>,
  options: { readonly body: Uint8Array; readonly signal?: AbortSignal | undefined },
): ClientRequest {
  const url = new URL(path, endpoint)
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  const named = { host: url.host, ...headers }
  const signed = signRequest({ method: 'POST', target: path, headers: named }, options.body, {
    ...{ key: credentials, region, service: 'kinesisvideo', now: new Date() },
  })
  const { signal } = options
  return open(url, {
    ...{ method: 'POST', agent: false, headers: { ...named, ...signed } },
    ...(signal === undefined ? {} : { signal }),
  })
}

/** Calls an operation that takes JSON; resolves with its answer when that is none of an error. */
export async function callOperation(
  access: KinesisVideoAccess,
  path: string,
  { input, signal }: { readonly input: object; readonly signal?: AbortSignal | undefined },
): Promise<IncomingMessage> {
  const body = Buffer.from(JSON.stringify(input))
  const outgoing = openSigned(
    access,
    path,
    { 'content-type': 'application/json', 'content-length': String(body.length) },
    { body, signal },
  )
  outgoing.end(body)
  try {
    return await answerTo(outgoing)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

/**
 * The answer, once its head is there.
 *
 * @throws ServiceError with the exception's name as code; `unavailable`/`ServiceUnreachable`
 */
export async function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  let response: IncomingMessage
  try {
    ;[response] = (await once(outgoing, 'response')) as [IncomingMessage]
  } catch (error) {
    const message = `No service answers at ${outgoing.protocol}//${String(outgoing.getHeader('host'))}.`
    throw new ServiceError('unavailable', 'ServiceUnreachable', message, { cause: error })
  }
  if (response.statusCode === 200) return response
  throw await readRefusal(response)
}

/** More of a refusal is not read. */
const MAX_REFUSAL_BYTES = 64 * 1024

async function readRefusal(response: IncomingMessage): Promise<ServiceError> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response) {
    parts.push(part as Buffer)
    bytes += (part as Buffer).length
    if (bytes > MAX_REFUSAL_BYTES) break
  }
  const status = response.statusCode ?? 0
  const type = response.headers['x-amzn-errortype']
  const code = typeof type === 'string' ? type.split(':')[0]! : `Http${status}`
  return new ServiceError(
    KIND_BY_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'invalid-argument'),
    code,
    readMessage(Buffer.concat(parts).toString()) ?? `The service answered with status ${status}.`,
  )
}

const KIND_BY_STATUS: Readonly<Record<number, ErrorKind>> = {
  401: 'permission-denied',
  403: 'unauthenticated',
  404: 'not-found',
  429: 'limit-exceeded',
}

function readMessage(text: string): string | null {
  try {
    const { Message, message } = JSON.parse(text) as { Message?: unknown; message?: unknown }
    const found = Message ?? message
    return typeof found === 'string' ? found : null
  } catch {
    return null // a proxy's page
  }
}
