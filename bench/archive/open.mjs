// An archive on a folder, as the service opens it.
import { join } from 'node:path'
import { openArchive } from '../../dist/archive/index.js'
import { createEvents } from '../../dist/observe/events.js'
import { silentLog } from '../../dist/observe/log.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { systemClock } from '../../dist/platform/clock.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

export async function openAt(directory) {
  const meta = await openLevelMetaStore(join(directory, 'meta'))
  return { archive: await openWith(meta, directory), meta }
}

export function openWith(meta, directory) {
  const metrics = createMetrics()
  return openArchive(
    {
      ...{ directory: join(directory, 'media'), meta, clock: systemClock, metrics },
      ...{ events: createEvents(silentLog, metrics), log: silentLog },
    },
    {
      retentionMsOf: () => 87_600 * 3_600_000,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 16 * 1024 * 1024,
      maxChunkBytes: 256 * 1024 * 1024,
    },
  )
}
