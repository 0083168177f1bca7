import { ServiceError } from '../../domain/errors.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { ShardPosition } from '../../datastream/index.ts'
import type { TokenSealer } from '../aws/sealed-token.ts'

const PURPOSE = 'shard-iterator'
const LIFETIME_MS = 300_000

/** What is inside a shard iterator: a position in one generation of a stream, and when it was made. */
type Content = readonly [
  stream: string,
  streamCreatedAt: number,
  shardId: string,
  index: number,
  madeAt: number,
]

export function sealIterator(sealer: TokenSealer, position: ShardPosition, now: EpochMs): string {
  const { stream, streamCreatedAt, shardId, index } = position
  const content: Content = [stream, streamCreatedAt, shardId, index, now]
  return sealer.seal(PURPOSE, content)
}

/** @throws `invalid-argument`/`InvalidArgumentException`, `conflict`/`ExpiredIteratorException` */
export function openIterator(sealer: TokenSealer, token: string, now: EpochMs): ShardPosition {
  // Clients of the CLI paste iterators with the quotes of its JSON output; the service takes them.
  const bare = token.startsWith('"') && token.endsWith('"') ? token.slice(1, -1) : token
  const content = sealer.open(PURPOSE, bare) as Content | null
  if (content === null) {
    throw new ServiceError('invalid-argument', 'InvalidArgumentException', 'Invalid ShardIterator.')
  }
  const [stream, streamCreatedAt, shardId, index, madeAt] = content
  if (now - madeAt > LIFETIME_MS) throw expired(epochMs(madeAt), now)
  return { stream, streamCreatedAt: epochMs(streamCreatedAt), shardId, index }
}

function expired(madeAt: EpochMs, now: EpochMs): ServiceError {
  return new ServiceError(
    'conflict',
    'ExpiredIteratorException',
    `Iterator expired. The iterator was created at time ${toJavaDate(madeAt)} while right now it is ` +
      `${toJavaDate(now)} which is further in the future than the tolerated delay of ` +
      `${LIFETIME_MS} milliseconds.`,
  )
}

/** `Thu Jan 22 01:22:02 UTC 2015` */
function toJavaDate(time: EpochMs): string {
  const [day, date, month, year, clock] = new Date(time).toUTCString().split(/,? /)
  return `${day} ${month} ${date} ${clock} UTC ${year}`
}
