import type { Archive } from '../../archive/index.ts'
import type { Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'

/** A stretch of producer time, `from <= t < to`. */
export type TimeRange = { readonly from: EpochMs; readonly to: EpochMs }

const PAGE_SIZE = 1000

/** All persisted fragments that overlap the range by producer time, in its order, page by page. */
export async function listRange(
  archive: Archive,
  streamId: StreamId,
  range: TimeRange,
): Promise<readonly Fragment[]> {
  const fragments: Fragment[] = []
  const seen = new Set<string>()
  let { from } = range
  let limit = PAGE_SIZE
  for (;;) {
    const page = await archive.list(streamId, { by: 'producer', from, to: range.to, limit })
    const unseen = page.filter((fragment) => !seen.has(fragment.fragmentNumber))
    for (const fragment of unseen) {
      seen.add(fragment.fragmentNumber)
      fragments.push(fragment)
    }
    const last = page.at(-1)
    if (last === undefined || page.length < limit) break
    // The next page begins with what overlaps this one's last start; a page of nothing else would
    // come again for ever, so it grows.
    if (unseen.length === 0) limit *= 2
    from = epochMs(Math.max(from, last.producerTimestamp))
  }
  return fragments
}
