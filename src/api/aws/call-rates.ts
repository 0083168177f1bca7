import type { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'

/** How often operations may be called, all callers together; `per` stream or channel, or in all. */
export type CallRate = {
  /** Names of operations; `*`: every one that no other rate of the same kind names. */
  readonly operations: readonly string[]
  readonly per: 'account' | 'stream'
  readonly callsPerSecond: number
}

export type CallRates = {
  /** @throws what `refusal` makes */
  take(operation: string, resource: string): void
}

/** Names that a caller makes up cost no more memory than this many buckets. */
const MAX_BUCKETS = 20_000

/**
 * Token buckets with a second's worth of burst. Of rates that name an operation the last one counts,
 * so that own rates stand behind the documented ones.
 *
 * @param refusal what a call beyond them is answered with
 */
export function limitCalls(
  rates: readonly CallRate[],
  {
    clock,
    refusal,
  }: { readonly clock: Clock; readonly refusal: (operation: string) => ServiceError },
): CallRates {
  const buckets = new Map<string, TokenBucket>()

  function bucketOf(name: string, callsPerSecond: number, now: EpochMs): TokenBucket {
    const known = buckets.get(name)
    if (known !== undefined) return known
    if (buckets.size >= MAX_BUCKETS) buckets.delete(buckets.keys().next().value!) // the oldest
    // A call is one token: a bucket that holds less than that would never be full.
    const bucket = new TokenBucket(Math.max(callsPerSecond, Number.MIN_VALUE), now)
    buckets.set(name, bucket)
    return bucket
  }

  return {
    take(operation, resource) {
      const now = clock.now()
      const taken: TokenBucket[] = []
      for (const per of ['account', 'stream'] as const) {
        const callsPerSecond = rateOf(rates, operation, per)
        if (callsPerSecond === Infinity || (per === 'stream' && resource === '*')) continue
        const bucket = bucketOf(
          `${operation} ${per === 'stream' ? resource : ''}`,
          callsPerSecond,
          now,
        )
        if (!bucket.admits(1, now)) throw refusal(operation)
        taken.push(bucket)
      }
      for (const bucket of taken) bucket.take(1, now) // a refused call takes nothing
    },
  }
}

function rateOf(rates: readonly CallRate[], operation: string, per: CallRate['per']): number {
  const named = rates.findLast((rate) => rate.per === per && rate.operations.includes(operation))
  const rate = named ?? rates.findLast((each) => each.per === per && each.operations.includes('*'))
  return rate?.callsPerSecond ?? Infinity
}
