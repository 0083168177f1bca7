import { hash } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'

/**
 * The part of the hash space 0..2^128-1 that a shard takes, both ends included, as 32 hexadecimal
 * digits: such texts compare as the numbers do, and an MD5 digest comes in this form.
 */
export type HashRange = { readonly from: string; readonly to: string }

const HASH_SPACE = 1n << 128n

/** The ranges of a new stream: shard i takes `[i*q, (i+1)*q - 1]` with `q = floor(2^128 / count)`. */
export function splitHashSpace(count: number): readonly HashRange[] {
  const quotient = HASH_SPACE / BigInt(count)
  return Array.from({ length: count }, (_, i) => ({
    from: toHashDigits(BigInt(i) * quotient),
    to: toHashDigits((i + 1 === count ? HASH_SPACE : BigInt(i + 1) * quotient) - 1n),
  }))
}

/** MD5 of the partition key's UTF-8 bytes. */
export function hashPartitionKey(partitionKey: string): string {
  return hash('md5', partitionKey)
}

/**
 * @param decimal `0` or digits without leading zeros
 * @param member how the message names it
 * @throws `invalid-argument`/`InvalidArgumentException` when not below 2^128
 */
export function parseHashKey(decimal: string, member = 'ExplicitHashKey'): string {
  const value = /^(0|[1-9]\d{0,38})$/.test(decimal) ? BigInt(decimal) : HASH_SPACE
  if (value >= HASH_SPACE) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidArgumentException',
      `Invalid ${member}. ${member} must be in the range: [0, 2^128-1]. Specified value was ${decimal}`,
    )
  }
  return toHashDigits(value)
}

/** @param hashDigits not the first of the space */
export function hashBefore(hashDigits: string): string {
  return toHashDigits(BigInt(`0x${hashDigits}`) - 1n)
}

/** @param hashDigits not the last of the space */
export function hashAfter(hashDigits: string): string {
  return toHashDigits(BigInt(`0x${hashDigits}`) + 1n)
}

export function toDecimal(hashDigits: string): string {
  return BigInt(`0x${hashDigits}`).toString()
}

function toHashDigits(value: bigint): string {
  return value.toString(16).padStart(32, '0')
}
