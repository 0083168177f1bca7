import { ServiceError } from '../domain/errors.ts'

/**
 * A record's number as Kinesis writes it: 56 decimal digits of a number of 47 hexadecimal digits.
 *
 * ```
 * digits   1  9             1               16            2   9             8       1
 *         '2' shard created shard, low 4 bits record index '00' record time   shard  '2' version
 *             (epoch s)                      (< 2^63)          (epoch s)
 * ```
 *
 * The index stands before the time, so that the order in a shard is the order of the index. The
 * index 0 is the shard's own starting number: the record with index n in the log has n + 1 here,
 * so "after the starting number" and "at the starting number" both mean the first record.
 */
export type SequenceNumber = {
  readonly shardNumber: number
  /** Epoch seconds. */
  readonly shardCreatedAt: number
  /** -1 stands for the start of the shard, {@link END_INDEX} for its end. */
  readonly index: number
  /** Epoch seconds. */
  readonly recordedAt: number
}

/** Behind every record of a closed shard. */
export const END_INDEX = Number.POSITIVE_INFINITY
const END_DIGITS = '7fffffffffffffff'
const LAYOUT = /^2([0-9a-f]{9})([0-9a-f])([0-9a-f]{16})00([0-9a-f]{9})([0-9a-f]{8})2$/

export function renderSequenceNumber(number: SequenceNumber): string {
  return shardRenderer(number.shardNumber, number.shardCreatedAt)(number.index, number.recordedAt)
}

/** Below the index: two digits of zeros, the time, the shard and the version. */
const BITS_BELOW_INDEX = BigInt(4 * (2 + 9 + 8 + 1))

/** Renders many numbers of one shard; those of one second cost one addition each. */
export function shardRenderer(
  shardNumber: number,
  shardCreatedAt: number,
): (index: number, recordedAt: number) => string {
  const head = `0x2${hex(shardCreatedAt, 9)}${(shardNumber % 16).toString(16)}`
  const tail = `${hex(shardNumber, 8)}2`
  const numberOf = (indexDigits: string, recordedAt: number) =>
    BigInt(`${head}${indexDigits}00${hex(recordedAt, 9)}${tail}`)
  let second = -1
  let startOfSecond = 0n // the number with index digits 0
  return (index, recordedAt) => {
    if (index === END_INDEX) return numberOf(END_DIGITS, recordedAt).toString()
    if (recordedAt !== second) {
      second = recordedAt
      startOfSecond = numberOf(hex(0, 16), recordedAt)
    }
    return (startOfSecond + (BigInt(index + 1) << BITS_BELOW_INDEX)).toString()
  }
}

/** @throws `invalid-argument`/`InvalidArgumentException` for anything that was never rendered here */
export function parseSequenceNumber(text: string): SequenceNumber {
  const digits = /^(0|[1-9]\d{0,128})$/.test(text) ? BigInt(text).toString(16) : ''
  const match = LAYOUT.exec(digits)
  const indexDigits = match?.[3] ?? ''
  const index = indexDigits === END_DIGITS ? END_INDEX : Number(`0x${indexDigits || '0'}`) - 1
  if (match === null || (index !== END_INDEX && !Number.isSafeInteger(index))) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      'Invalid SequenceNumber.',
    )
  }
  const shardNumber = Number(`0x${match[5]}`)
  if ((shardNumber % 16).toString(16) !== match[2]) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      'Invalid SequenceNumber.',
    )
  }
  return {
    shardNumber,
    shardCreatedAt: Number(`0x${match[1]}`),
    index,
    recordedAt: Number(`0x${match[4]}`),
  }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
