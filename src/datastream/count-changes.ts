import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { CountedChange, StreamRow } from './stream-rows.ts'

/** More than all quotas together: what is beyond was made while they were not enforced. */
const MAX_COUNTED = 100
const DAY_MS = 24 * 3_600_000
/** Per stream and rolling day (KDS API, the operations). */
const QUOTAS: Record<CountedChange['kind'], { readonly operation: string; readonly most: number }> =
  {
    mode: { operation: 'UpdateStreamMode', most: 2 },
    'shard-count': { operation: 'UpdateShardCount', most: 10 },
    'start-encryption': { operation: 'StartStreamEncryption', most: 25 },
    'stop-encryption': { operation: 'StopStreamEncryption', most: 25 },
  }

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
  if (enforced && made >= QUOTAS[kind].most) {
    throw new ServiceError(
      'limit-exceeded',
      'LimitExceededException',
      `${QUOTAS[kind].operation} was called ${made} times on stream ${row.name} within 24 hours, the most that is allowed.`,
      { context: { stream: row.name } },
    )
  }
  return [...today, { kind, at: now }].slice(-MAX_COUNTED)
}

/** Which quota a change of settings counts against, if any. */
export function toCountedKind(
  row: StreamRow,
  { mode, encryption }: Partial<Pick<StreamRow, 'mode' | 'encryption'>>,
): CountedChange['kind'] | null {
  if (mode !== undefined && mode !== row.mode) return 'mode'
  if (encryption === undefined) return null
  return encryption === null ? 'stop-encryption' : 'start-encryption'
}
