import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive, type Archive } from '../../../src/archive/index.ts'
import { createEvents } from '../../../src/observe/events.ts'
import { silentLog } from '../../../src/observe/log.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { openLevelMetaStore } from '../../../src/platform/meta-store.ts'

export type TemporaryArchive = AsyncDisposable & { readonly archive: Archive }

const HUNDRED_YEARS_MS = 100 * 365 * 24 * 3600 * 1000

/** The real archive in a temporary folder, which goes with it. */
export async function openTemporaryArchive(): Promise<TemporaryArchive> {
  const directory = await mkdtemp(join(tmpdir(), 'kinora-playback-'))
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const metrics = createMetrics()
  const archive = await openArchive(
    {
      directory: join(directory, 'archive'),
      meta,
      clock: systemClock,
      events: createEvents(silentLog, metrics),
      metrics,
      log: silentLog,
    },
    {
      retentionMsOf: () => HUNDRED_YEARS_MS,
      nameOf: () => 'camera',
      maxQueuedBytes: 64 * 1024 * 1024,
      maxChunkBytes: 256 * 1024 * 1024,
    },
  )
  return {
    archive,
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]()
      await meta[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
}
