import type { FragmentStart, FragmentWriter } from '../../archive/index.ts'
import { toFragmentNumber, type Fragment } from '../../domain/fragment.ts'
import type { StreamId } from '../../domain/stream.ts'

/** Takes fragments as the archive's writer does, tells of each one's beginning, and keeps nothing. */
export function createDiscardingWriter(
  streamId: StreamId,
  onBegin: (start: FragmentStart) => void,
): FragmentWriter {
  let counter = 0
  let open: Fragment | null = null
  return {
    queuedBytes: 0,
    begin(start) {
      const { producerTimestamp, serverTimestamp, discontinuity, startsWithKey } = start
      onBegin(start)
      open = {
        ...{ streamId, producerTimestamp, serverTimestamp, discontinuity, startsWithKey },
        fragmentNumber: toFragmentNumber({ counter, serverTimestamp, random28: 0 }),
        ...{ durationMs: 0, arrivalSpanMs: 0, sizeBytes: 0, sampleCount: 0 },
        ...{ sequence: counter++, discontinuitySequence: 0, recovered: false },
        place: { chunkId: '', offset: 0 },
      }
      return open.fragmentNumber
    },
    append: () => undefined,
    end: async () => open!,
    abandon: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}
