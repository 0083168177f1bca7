import { join } from 'node:path'
import { openArchive, type ArchiveDeps, type ArchiveOptions } from '../../src/archive/index.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { ManualClock } from './manual-clock.ts'
import { createObserved } from './observed.ts'
import { scratchDirectory, untilTestEnds } from './scratch.ts'

export const T = 1_700_000_000_000
export const MINUTE_MS = 60_000
export const YARD = toStreamId('yard', 1)

/** An archive that a test opens, looks into and opens again, with settings that it may change. */
export async function archiveWorkplace() {
  const directory = await scratchDirectory()
  const meta = untilTestEnds(await openLevelMetaStore(join(directory, 'meta')))
  const clock = new ManualClock(T)
  const observed = createObserved()
  const retention = { ms: (12 * MINUTE_MS) as number | null }
  const media = join(directory, 'media')
  const open = async (deps: Partial<ArchiveDeps> = {}, settings: Partial<ArchiveOptions> = {}) =>
    untilTestEnds(
      await openArchive(
        { directory: media, meta, clock, ...observed, ...deps },
        {
          retentionMsOf: () => retention.ms,
          nameOf: (streamId) => streamId,
          maxQueuedBytes: 1 << 20,
          maxChunkBytes: 1 << 20,
          ...settings,
        },
      ),
    )
  return { media, meta, clock, retention, open, recorder: observed.recorder }
}
