import { ByteCursor } from '../flv/byte-cursor.ts'

/** No encoder joins more than a second of media. */
const MAX_AGGREGATED = 1024
const HEADER_BYTES = 11
const BACK_POINTER_BYTES = 4

/** One message inside an aggregate; its payload is a view on the aggregate's. */
export type AggregatedMessage = {
  readonly typeId: number
  readonly timestamp: number
  readonly payload: Uint8Array
}

/**
 * Takes an aggregate message (type 22) apart (RTMP 1.0 §7.1.6).
 *
 * ```
 * each: | type 1 | size 3 | timestamp 3 + 1 high | stream 3 | data | back pointer 4 |
 * ```
 * @param timestamp of the aggregate: that of its first message, whatever that one itself says
 * @throws MalformedMediaError
 */
export function parseAggregate(body: Uint8Array, timestamp: number): AggregatedMessage[] {
  const messages: AggregatedMessage[] = []
  const cursor = new ByteCursor(body, 0, 'aggregate message')
  let firstTimestamp: number | null = null
  while (cursor.left >= HEADER_BYTES) {
    if (messages.length === MAX_AGGREGATED) throw cursor.malformed('has too many messages')
    const typeId = cursor.byte()
    const size = cursor.unsigned24()
    const low = cursor.unsigned24()
    const own = ((cursor.byte() << 24) | low) >>> 0
    cursor.skip(3)
    const payload = cursor.take(size)
    cursor.skip(Math.min(BACK_POINTER_BYTES, cursor.left))
    firstTimestamp ??= own
    messages.push({ typeId, timestamp: (timestamp + own - firstTimestamp) >>> 0, payload })
  }
  if (cursor.left > 0) throw cursor.malformed('ends inside a message header')
  return messages
}
