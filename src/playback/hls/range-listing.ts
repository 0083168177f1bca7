import type { Archive } from '../../archive/index.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import type { EpochMs } from '../../domain/time.ts'
import { fragmentPages } from '../fragment-pages.ts'

/** A stretch of producer time, `from <= t < to`. */
export type TimeRange = { readonly from: EpochMs; readonly to: EpochMs }

/** All persisted fragments that overlap the range by producer time, in its order. */
export async function listRange(
  archive: Archive,
  streamId: StreamId,
  range: TimeRange,
): Promise<readonly Fragment[]> {
  const fragments: Fragment[] = []
  for await (const page of fragmentPages(archive, streamId, { by: 'producer', ...range })) {
    fragments.push(...page)
  }
  return fragments
}
