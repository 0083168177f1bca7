import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import { string } from '../aws/input-schema.ts'
import { invalid } from './stream-address.ts'
import type { TokenSealer } from '../aws/sealed-token.ts'

const LIFETIME_MS = 300_000

export const nextToken = string({ min: 1, max: 1_048_576 })

/** @param operation a token of one operation is none of another */
export function sealPage(
  sealer: TokenSealer,
  operation: string,
  page: object,
  now: EpochMs,
): string {
  return sealer.seal(`page of ${operation}`, { page, madeAt: now })
}

/** @throws `invalid-argument`/`InvalidArgumentException`, `conflict`/`ExpiredNextTokenException` */
export function openPage(
  sealer: TokenSealer,
  operation: string,
  token: string,
  now: EpochMs,
): unknown {
  const content = sealer.open(`page of ${operation}`, token)
  if (content === null) throw invalid('Invalid NextToken.')
  const { page, madeAt } = content as { page: unknown; madeAt: number }
  if (now - madeAt <= LIFETIME_MS) return page
  throw new ServiceError(
    'conflict',
    'ExpiredNextTokenException',
    `NextToken expired. It was created more than ${LIFETIME_MS} milliseconds ago.`,
  )
}
