import type { Archive } from '../../../archive/index.ts'
import {
  counterOf,
  parseFragmentNumber,
  predecessorOf,
  type FragmentNumber,
} from '../../../domain/fragment.ts'
import { epochMs, type EpochMs } from '../../../domain/time.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import {
  oneOf,
  required,
  string,
  structure,
  timestamp,
  type InputOf,
} from '../../aws/input-schema.ts'
import { invalid } from '../stream-reference.ts'

/** Where an answer begins (Kinesis Video Streams API, GetMedia, StartSelector). */
export const startSelector = structure({
  StartSelectorType: required(
    oneOf([
      'FRAGMENT_NUMBER',
      'SERVER_TIMESTAMP',
      'PRODUCER_TIMESTAMP',
      'NOW',
      'EARLIEST',
      'CONTINUATION_TOKEN',
    ]),
  ),
  AfterFragmentNumber: string({ min: 1, max: 128, pattern: '[0-9]+' }),
  StartTimestamp: timestamp(),
  ContinuationToken: string({ min: 1, max: 128, pattern: '[a-zA-Z0-9_\\.\\-]+' }),
})

export type StartSelector = InputOf<typeof startSelector>

/** A selector that says all that its type needs. */
export type Start =
  | { readonly from: 'newest' }
  | { readonly from: 'oldest' }
  | { readonly from: 'after'; readonly fragmentNumber: FragmentNumber }
  | { readonly from: 'time'; readonly by: 'producer' | 'server'; readonly at: EpochMs }

/** @throws ServiceError `invalid-argument`/`InvalidArgumentException` */
export function readStart(selector: StartSelector): Start {
  const { StartSelectorType: type } = selector
  switch (type) {
    case 'NOW':
      return { from: 'newest' }
    case 'EARLIEST':
      return { from: 'oldest' }
    case 'FRAGMENT_NUMBER':
      return { from: 'after', fragmentNumber: readNumber('AfterFragmentNumber', selector) }
    case 'CONTINUATION_TOKEN':
      return { from: 'after', fragmentNumber: readNumber('ContinuationToken', selector) }
    case 'PRODUCER_TIMESTAMP':
    case 'SERVER_TIMESTAMP': {
      const at = selector.StartTimestamp
      if (at === undefined) throw missing('StartTimestamp', selector)
      return { from: 'time', by: type === 'PRODUCER_TIMESTAMP' ? 'producer' : 'server', at }
    }
  }
}

/** The token is the number of the fragment that came last. */
function readNumber(
  member: 'AfterFragmentNumber' | 'ContinuationToken',
  selector: StartSelector,
): FragmentNumber {
  const text = selector[member]
  if (text === undefined) throw missing(member, selector)
  if (parseFragmentNumber(text) === null) throw invalid(`The ${member} is not one of this service.`)
  return text as FragmentNumber
}

function missing(member: string, { StartSelectorType }: StartSelector) {
  return invalid(`${member} must be given with StartSelectorType ${StartSelectorType}.`)
}

/**
 * The fragment behind which an answer begins; `null`: with the oldest one.
 *
 * - NOW: the newest complete fragment, then live
 * - a time: the fragment that contains it, or else the next; behind the newest one when all are
 *   older, so that the next to come is the first
 *
 * @returns `not-there` for a number of an earlier stream of that name, which this one has yet to reach
 */
export async function findStart(
  archive: Pick<Archive, 'after' | 'list' | 'newest'>,
  { streamId, createdAt, retentionHours }: StreamInfo,
  start: Start,
): Promise<{ readonly after: FragmentNumber | null } | 'not-there'> {
  if (start.from === 'oldest') return { after: null }
  const [newest] = await archive.newest(streamId, 1)
  if (start.from === 'after') {
    const { fragmentNumber } = start
    const { serverTimestamp } = parseFragmentNumber(fragmentNumber)!
    const isAhead = orderOf(fragmentNumber) > orderOf(newest?.fragmentNumber ?? null)
    return isAhead && serverTimestamp < createdAt ? 'not-there' : { after: fragmentNumber }
  }
  if (newest === undefined) return { after: null }
  if (start.from === 'newest') return { after: predecessorOf(newest.fragmentNumber) }

  const { by, at } = start
  const first =
    retentionHours === 0
      ? await firstInBuffer(archive, streamId, start)
      : (await archive.list(streamId, { by, from: at, to: END_OF_TIME, limit: 1 }))[0]
  return {
    after: first === undefined ? newest.fragmentNumber : predecessorOf(first.fragmentNumber),
  }
}

/** A stream that keeps nothing has a live buffer, of which there is no index by time. */
async function firstInBuffer(
  archive: Pick<Archive, 'after'>,
  streamId: StreamInfo['streamId'],
  { by, at }: Start & { readonly from: 'time' },
) {
  let last: FragmentNumber | null = null
  for (;;) {
    const page = await archive.after(streamId, last, PAGE)
    const found = page.find((fragment) => {
      const [from, length] =
        by === 'producer'
          ? [fragment.producerTimestamp, fragment.durationMs]
          : [fragment.serverTimestamp, fragment.arrivalSpanMs]
      return from + Math.max(length, 1) > at
    })
    if (found !== undefined || page.length < PAGE) return found
    last = page.at(-1)!.fragmentNumber
  }
}

const PAGE = 256
const END_OF_TIME = epochMs(8.64e15)

/** By which two fragments of a stream are in order; 0 is before all. */
export function orderOf(fragmentNumber: FragmentNumber | null): number {
  return fragmentNumber === null ? 0 : counterOf({ fragmentNumber })
}
