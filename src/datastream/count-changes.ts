import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { CountedChange, StreamRow } from './stream-rows.ts'

const DAY_MS = 24 * 3_600_000
/** Per stream and rolling day (KDS API: UpdateStreamMode, UpdateShardCount). */
const QUOTAS = { mode: 2, 'shard-count': 10 }
const NAMES = { mode: 'UpdateStreamMode', 'shard-count': 'UpdateShardCount' }

/**
 * The row's list with one more change, without those older than a day.
 *
 * @throws `limit-exceeded`/`LimitExceededException`
 */
export function countChange(
  row: StreamRow,
  kind: CountedChange['kind'],
  { now, enforced }: { readonly now: EpochMs; readonly enforced: boolean },
): readonly CountedChange[] {
  const today = row.counted.filter(({ at }) => at > now - DAY_MS)
  const made = today.filter((change) => change.kind === kind).length
  if (enforced && made >= QUOTAS[kind]) {
    throw new ServiceError(
      'limit-exceeded',
      'LimitExceededException',
      `${NAMES[kind]} was called ${made} times on stream ${row.name} within 24 hours, the most that is allowed.`,
      { context: { stream: row.name } },
    )
  }
  return [...today, { kind, at: now }]
}
