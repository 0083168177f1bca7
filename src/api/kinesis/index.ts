import { randomBytes, randomUUID } from 'node:crypto'
import type { DataStreams } from '../../datastream/index.ts'
import { noAuditLog, type AuditLog } from '../../observe/audit-log.ts'
import type { Log } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import {
  circumstancesOf,
  createVerifier,
  hashedPayload,
  type AccessKeys,
  type IdentityPolicies,
  type SignedPayload,
} from '../auth/index.ts'
import type { HttpRequest, HttpResponse } from '../http-server.ts'
import { authorise, resourceOf } from './authorise.ts'
import { AuditedCall } from '../aws/audited-call.ts'
import { cborCodec, jsonCodec, type Codec } from '../aws/codec.ts'
import { CallMetrics } from './call-metrics.ts'
import { toWireError, type WireError } from './errors.ts'
import { EventStream } from './event-stream.ts'
import type { KinesisService, Output } from './operation.ts'
import { readRequest } from './read-request.ts'
import { RequestMemories } from './request-memory.ts'
import { SharedRecords } from './render-records.ts'
import { createCallRates } from './call-rates.ts'
import { createBodyReader } from '../aws/request-body.ts'
import { sendEventStream } from './send-event-stream.ts'
import { createTokenSealer } from '../aws/sealed-token.ts'

export type KinesisApiParts = {
  readonly dataStreams: DataStreams
  readonly accessKeys: AccessKeys
  /** Hosts by which requests are taken without a signature; absent: every request is verified. */
  readonly openTo?: readonly string[] | undefined
  /** Whether calls are limited as the service's own are. Default: off. */
  readonly quotas?: 'enforce' | 'off'
  /** Default: every key may do everything. */
  readonly identityPolicies?: IdentityPolicies
  readonly audit?: AuditLog
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  readonly region: string
  readonly accountId: string
  /** 32 secret bytes, kept over restarts: what iterators and paging tokens are sealed with. */
  readonly iteratorKey: Uint8Array
}

export type KinesisApi = {
  /** Whether a request is for this API: POST with one of its targets. */
  readonly handles: (request: HttpRequest) => boolean
  /** Answers it. Never rejects: when the connection is gone there is nobody to tell. */
  readonly handle: (request: HttpRequest, response: HttpResponse) => Promise<void>
  /** Ends the answers that go on; their clients subscribe again, elsewhere or later. */
  readonly endStreams: () => void
}

const TARGET_PREFIX = 'Kinesis_20131202.'
/** 10 MiB of records in base64 with their keys and the JSON around them, and the service's slack. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
const MAX_BODY_BYTES_TOGETHER = 256 * 1024 * 1024
const CODECS: ReadonlyMap<string, Codec> = new Map([
  [jsonCodec.contentType, jsonCodec],
  ['application/json', jsonCodec],
  [cborCodec.contentType, cborCodec],
])

type Answer = {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
  readonly bodyUnread?: boolean
}

type StreamedAnswer = { readonly codec: Codec; readonly stream: EventStream }

/** The Amazon Kinesis Data Streams API over a store of records. */
export function createKinesisApi(parts: KinesisApiParts): KinesisApi {
  const { dataStreams, clock, metrics, log, region, accountId } = parts
  const identityOf = parts.identityPolicies ?? (() => null)
  const sealer = createTokenSealer(parts.iteratorKey)
  const service: KinesisService = {
    ...{ dataStreams, clock, sealer, region, accountId },
    sharedRecords: new SharedRecords(),
    calls: new CallMetrics(metrics),
  }
  const verifier = createVerifier('kinesis', parts)
  /** Where nothing is verified, nothing is hashed. */
  const payloadOf = parts.openTo === undefined ? hashedPayload : wholePayload
  const audit = parts.audit ?? noAuditLog
  const rates = parts.quotas === 'enforce' ? createCallRates(parts) : null
  const memories = new RequestMemories()
  const bodies = createBodyReader({
    maxBytes: MAX_BODY_BYTES,
    maxBytesTogether: MAX_BODY_BYTES_TOGETHER,
    join: memories.join,
  })

  const streaming = new Set<AbortController>()

  /** The checks in the service's own order: docs/ref/kinesis.md, "Order of checks". */
  async function answerTo(
    request: HttpRequest,
    requestId: string,
    told: AuditedCall,
    gone: AbortSignal,
  ): Promise<Answer | StreamedAnswer> {
    const mediaType = mediaTypeOf(request)
    const codec = CODECS.get(mediaType)
    const body = await bodies.read(request)
    if (body === 'too-large') return TOO_LARGE
    if (body === 'busy') return BUSY
    if (codec === undefined) return UNKNOWN_CONTENT_TYPE
    const memory = memories.begin(body)
    try {
      const name = operationNameOf(request)
      const { operation, input: readInput } = readRequest(name, body, codec, memory)
      told.operation = operation.name
      const caller = verifier.verify(toSignedRequest(request), await payloadOf(body))
      const { accessKeyId } = caller
      told.caller = accessKeyId
      const input = readInput()
      const resource = resourceOf(input, service)
      told.resource = resource.arn
      const { circumstances } = told
      authorise(
        { operation: operation.name, resource, accessKeyId, circumstances },
        service,
        identityOf,
      )
      rates?.take(operation.name, resource.arn)
      const output = await operation.handle(input as never, { service, codec, caller, gone })
      return output instanceof EventStream
        ? { codec, stream: output }
        : toAnswer(codec, 200, output)
    } catch (error) {
      const wire = toWireError(error, accountId)
      if (wire.status >= 500) log.error({ err: error, requestId }, 'Kinesis request failed')
      else log.debug({ err: error, requestId }, 'Kinesis request refused')
      told.outcome = wire.type
      return toErrorAnswer(codec, wire, mediaType === 'application/json')
    } finally {
      memory.giveBack()
    }
  }

  async function handle(request: HttpRequest, response: HttpResponse): Promise<void> {
    const requestId = randomUUID()
    const gone = new AbortController()
    response.once('close', () => {
      // Most answers are over by then, and an abort per request is dear.
      if (streaming.has(gone) || !response.writableEnded)
        gone.abort(new Error('the client is gone'))
    })
    const told = new AuditedCall(circumstancesOf(request, clock.now()), {
      ...{ audit, clock, api: 'kinesis', requestId },
    })
    let answer: Answer | StreamedAnswer
    try {
      answer = await answerTo(request, requestId, told, gone.signal)
    } catch (error) {
      // The body never came to its end: there is nobody to answer.
      log.debug({ err: error, requestId }, 'Kinesis request broke off')
      response.destroy()
      return
    }
    // By the clock that judges signatures: SDKs correct theirs by this header.
    response.setHeader('date', new Date(clock.now()).toUTCString())
    response.setHeader('x-amzn-RequestId', requestId)
    response.setHeader('x-amz-id-2', randomBytes(48).toString('base64'))
    const status = 'stream' in answer ? 200 : answer.status
    metrics.httpRequests.inc({ edge: 'kinesis', status: String(status) })
    told.end(status)
    if (!('stream' in answer)) {
      send(request, response, answer)
      return
    }
    const { stream, codec } = answer
    streaming.add(gone)
    response.once('close', () => streaming.delete(gone))
    await sendEventStream(response, stream, codec, {
      gone: gone.signal,
      toWireError: (error) => {
        log.debug({ err: error, requestId }, 'event stream ended')
        return toWireError(error, accountId)
      },
    })
  }

  return {
    handles: (request) =>
      request.method === 'POST' &&
      String(request.headers['x-amz-target'] ?? '').startsWith(TARGET_PREFIX),
    handle,
    endStreams: () => {
      for (const gone of streaming) gone.abort(new Error('the service is stopping'))
    },
  }
}

function send(request: HttpRequest, response: HttpResponse, answer: Answer): void {
  // What is left of a refused body is not read, so no request can follow it.
  if (answer.bodyUnread === true && request.httpVersionMajor === 1)
    response.setHeader('connection', 'close')
  response.statusCode = answer.status
  response.setHeader('content-type', answer.contentType)
  response.setHeader('content-length', answer.body.length)
  response.end(answer.body)
}

function mediaTypeOf(request: HttpRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
}

function operationNameOf(request: HttpRequest): string {
  return String(request.headers['x-amz-target']).slice(TARGET_PREFIX.length)
}

function wholePayload(body: Buffer): SignedPayload {
  return { kind: 'whole', body }
}

function toSignedRequest(request: HttpRequest) {
  return { method: request.method!, target: request.url!, headers: request.headers }
}

function toAnswer(codec: Codec, status: number, output: Exclude<Output, EventStream>): Answer {
  const body = output === null ? Buffer.alloc(0) : bytesOf(output, codec)
  return { status, contentType: codec.contentType, body }
}

function bytesOf(output: object, codec: Codec): Buffer {
  return Buffer.isBuffer(output) ? output : codec.render(output)
}

/** SerializationException alone writes `Message` with a capital M. */
function toErrorAnswer(codec: Codec, error: WireError, wrapped: boolean): Answer {
  const member = error.type === 'SerializationException' ? 'Message' : 'message'
  if (!wrapped) {
    return toAnswer(codec, error.status, { __type: error.type, [member]: error.message })
  }
  const type = `com.amazon.coral.service#${error.type}`
  const output = { Output: { __type: type, [member]: error.message }, Version: '1.0' }
  return { ...toAnswer(codec, error.status, output), contentType: 'application/json' }
}

const TOO_LARGE: Answer = {
  status: 413,
  contentType: 'text/plain',
  body: Buffer.from('Request Entity Too Large'),
  bodyUnread: true,
}
const BUSY: Answer = { ...TOO_LARGE, status: 503, body: Buffer.from('Service Unavailable') }
const UNKNOWN_CONTENT_TYPE: Answer = {
  status: 404,
  contentType: 'application/xml',
  body: Buffer.from('<UnknownOperationException/>\n'),
}
