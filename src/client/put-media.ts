import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { KinesisVideoAccess, StreamReference } from './kinesis-video-access.ts'
import { answerTo, openSigned } from './send-signed.ts'

export type PutMediaOptions = KinesisVideoAccess &
  StreamReference & {
    /** Matroska in pieces of any size, such as a Node stream; read as fast as it is taken. */
    readonly media: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
    /**
     * `absolute`: Timecodes are milliseconds since 1970; or what they count from. Default: from now.
     */
    readonly timecodes?: 'absolute' | { readonly from: Date }
    /** Ends the call; the iteration then rejects with its reason. */
    readonly signal?: AbortSignal
  }

/** What the service says of a fragment (Kinesis Video Streams API, PutMedia, "Response Syntax"). */
export type FragmentAcknowledgement = {
  readonly type: 'BUFFERING' | 'RECEIVED' | 'PERSISTED' | 'ERROR' | 'IDLE'
  /** The Cluster's Timecode, as it was sent. */
  readonly timecode: number | null
  readonly fragmentNumber: string | null
  /** Of an ERROR: its number and name. */
  readonly error: { readonly id: number; readonly code: string } | null
}

/**
 * Sends media to a stream with PutMedia, and yields the acknowledgements as they come: the upload goes
 * on while they are read, and ends with them. An ERROR acknowledgement does not throw; the service
 * ends the call behind it.
 *
 * @throws ServiceError when the call is refused, with the exception's name as code, or
 *   `unavailable`/`ServiceUnreachable`; what `media` throws
 */
export async function* putMedia(
  options: PutMediaOptions,
): AsyncGenerator<FragmentAcknowledgement, void, undefined> {
  const outgoing = openSigned(options, '/putMedia', toHeaders(options), {
    body: new Uint8Array(0),
    signal: options.signal,
  })
  const closed = new AbortController()
  outgoing.once('close', () => closed.abort())
  outgoing.on('error', () => undefined) // told by who waits for it
  const media = toIterator(options.media)
  outgoing.flushHeaders()
  let failure: { readonly error: unknown } | null = null
  const uploading = upload(outgoing, media, closed.signal).catch((error: unknown) => {
    failure = { error }
    outgoing.destroy()
  })
  try {
    const response = await answerTo(outgoing)
    yield* readAcknowledgements(response)
    if (!response.complete) options.signal?.throwIfAborted()
  } catch (error) {
    options.signal?.throwIfAborted()
    // The source's failure is why the connection broke off.
    throw (failure as { readonly error: unknown } | null)?.error ?? error
  } finally {
    outgoing.destroy()
    void uploading // ends with the connection, once its source gives something or ends
  }
  if (failure !== null) throw (failure as { readonly error: unknown }).error
}

function toHeaders(options: PutMediaOptions): Record<string, string> {
  const { timecodes = { from: new Date() } } = options
  return {
    ...(options.streamName === undefined
      ? { 'x-amzn-stream-arn': options.streamArn }
      : { 'x-amzn-stream-name': options.streamName }),
    'x-amzn-fragment-acknowledgment-required': '1',
    ...(timecodes === 'absolute'
      ? { 'x-amzn-fragment-timecode-type': 'ABSOLUTE' }
      : {
          'x-amzn-fragment-timecode-type': 'RELATIVE',
          'x-amzn-producer-start-timestamp': (timecodes.from.getTime() / 1000).toFixed(3),
        }),
    'transfer-encoding': 'chunked',
    expect: '100-continue',
  }
}

/** RFC 9110 §10.1.1: who expects 100 need not wait for it for ever. */
const CONTINUE_TIMEOUT_MS = 1_000

async function upload(
  outgoing: ClientRequest,
  media: AsyncIterator<Uint8Array> | Iterator<Uint8Array>,
  closed: AbortSignal,
): Promise<void> {
  await untilContinue(outgoing, closed)
  while (!closed.aborted) {
    const next: IteratorResult<Uint8Array, unknown> = await media.next()
    if (next.done === true) break
    if (!outgoing.write(next.value)) await once(outgoing, 'drain', { signal: closed }).catch(ignore)
  }
  if (closed.aborted) await media.return?.()
  else outgoing.end()
}

async function untilContinue(outgoing: ClientRequest, closed: AbortSignal): Promise<void> {
  const waited = AbortSignal.any([closed, AbortSignal.timeout(CONTINUE_TIMEOUT_MS)])
  await once(outgoing, 'continue', { signal: waited }).catch(ignore)
}

/** The connection is over, which its reader tells. */
function ignore(): void {}

function toIterator(
  media: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in media ? media[Symbol.asyncIterator]() : media[Symbol.iterator]()
}

/** JSON objects, one after the other; official servers differ in what is between them. */
async function* readAcknowledgements(
  response: IncomingMessage,
): AsyncGenerator<FragmentAcknowledgement, void, undefined> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const text of response) {
    const texts = (rest + (text as string)).split('}')
    rest = texts.pop()!
    for (const one of texts) yield toAcknowledgement(`${one}}`)
  }
}

function toAcknowledgement(text: string): FragmentAcknowledgement {
  const ack = JSON.parse(text) as {
    readonly EventType: FragmentAcknowledgement['type']
    readonly FragmentTimecode?: number
    readonly FragmentNumber?: string
    readonly ErrorId?: number | string
    readonly ErrorCode?: string
  }
  return {
    type: ack.EventType,
    timecode: ack.FragmentTimecode ?? null,
    fragmentNumber: ack.FragmentNumber ?? null,
    error:
      ack.EventType === 'ERROR' ? { id: Number(ack.ErrorId), code: ack.ErrorCode ?? '' } : null,
  }
}
