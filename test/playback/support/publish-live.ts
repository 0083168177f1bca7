import type { Archive } from '../../../src/archive/index.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import type { DemuxedFile } from './demux.ts'
import { record, toGroups } from './record.ts'

export type LivePublisher = AsyncDisposable & {
  /** Wall time at which the newest stored fragment ends. */
  readonly newestMs: number
}

/** Stores a file's GOPs at the pace of the wall clock, as a camera would, until disposed. */
export async function publishLive(
  file: DemuxedFile,
  options: {
    readonly archive: Archive
    readonly streamId: StreamId
    /** How much is there before the first viewer comes. */
    readonly beforeMs: number
  },
): Promise<LivePublisher> {
  const { archive, streamId, beforeMs } = options
  const startMs = systemClock.now() - beforeMs
  const stop = new AbortController()
  const groups = toGroups(file)
  let next = 0
  let newestMs = startMs

  const storeUntil = async (nowMs: number) => {
    for (; next < groups.length; next++) {
      const group = groups[next]!
      const end = startMs + Math.max(...group.map((packet) => packet.ptsMs + packet.durationMs))
      if (end > nowMs) return
      const session = { archive, streamId, startMs, continues: next > 0 }
      await record({ tracks: file.tracks, packets: group }, session)
      newestMs = end
    }
  }
  await storeUntil(systemClock.now())

  const publishing = (async () => {
    while (!stop.signal.aborted) {
      await systemClock.sleep(100, stop.signal).catch(() => undefined)
      await storeUntil(systemClock.now())
    }
  })()
  return {
    get newestMs() {
      return newestMs
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await publishing
    },
  }
}
