import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive } from '../../src/archive/index.ts'
import { createEvents } from '../../src/observe/events.ts'
import { silentLog } from '../../src/observe/log.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { archiveContract } from './archive.contract.ts'

archiveContract('chunk files and LevelDB', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'archive-'))
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  const clock = new ManualClock(1_700_000_500_000)
  const metrics = createMetrics()
  const events = createEvents(silentLog, metrics)
  return {
    clock,
    open: (options) =>
      openArchive(
        { directory: join(directory, 'media'), meta, clock, events, metrics, log: silentLog },
        options,
      ),
    [Symbol.asyncDispose]: async () => {
      await meta[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    },
  }
})
