import type { HttpRequest } from '../../http-server.ts'
import { invalid, parseStreamArn } from '../stream-reference.ts'

/** What a PutMedia call says before its media (Kinesis Video Streams API, PutMedia, "URI Request Parameters"). */
export type PutMediaHeaders = {
  readonly stream: string
  /** From the ARN; `null` when the stream was named. */
  readonly createdAtMs: number | null
  /** Milliseconds since 1970 that Timecodes count from; 0 for ABSOLUTE ones. */
  readonly producerStart: number
  /** A producer that asked for none may be left without acknowledgements. */
  readonly wantsAcknowledgements: boolean
}

/** @throws ServiceError `invalid-argument` that names the header */
export function readPutMediaHeaders(request: HttpRequest): PutMediaHeaders {
  const header = (name: string) => {
    const value = request.headers[`x-amzn-${name}`]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const name = header('stream-name')
  const arn = header('stream-arn')
  if ((name === null) === (arn === null)) {
    throw invalid('Give exactly one of x-amzn-stream-name and x-amzn-stream-arn.')
  }
  const address = name === null ? parseArn(arn!) : { stream: parseName(name), createdAtMs: null }
  const type = header('fragment-timecode-type')
  if (type !== 'ABSOLUTE' && type !== 'RELATIVE') {
    throw invalid('x-amzn-fragment-timecode-type must be ABSOLUTE or RELATIVE.')
  }
  const start = header('producer-start-timestamp')
  return {
    ...address,
    producerStart: type === 'ABSOLUTE' ? 0 : parseStart(start),
    wantsAcknowledgements: header('fragment-acknowledgment-required') !== '0',
  }
}

function parseName(name: string): string {
  if (/^[a-zA-Z0-9_.-]{1,256}$/.test(name)) return name
  throw invalid('x-amzn-stream-name must match [a-zA-Z0-9_.-]{1,256}.')
}

function parseArn(arn: string): { stream: string; createdAtMs: number } {
  const parsed = parseStreamArn(arn)
  if (parsed === null) throw invalid('x-amzn-stream-arn is not the ARN of a stream.')
  return { stream: parsed.name, createdAtMs: parsed.createdAtMs }
}

/** Seconds since 1970 as a decimal; official producers differ in how they print its fraction. */
function parseStart(text: string | null): number {
  const seconds = text !== null && /^\d{1,11}(\.\d{1,9})?$/.test(text) ? Number(text) : null
  if (seconds !== null) return Math.round(seconds * 1000)
  throw invalid(
    'x-amzn-producer-start-timestamp must be seconds since 1970 for RELATIVE timecodes.',
  )
}
