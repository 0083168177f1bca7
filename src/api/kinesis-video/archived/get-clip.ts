import type { Clip } from '../../../playback/index.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import { required, structure, type InputOf } from '../../aws/input-schema.ts'
import { MediaAnswer } from '../media-answer.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, invalid, streamReference, streamResource } from '../stream-reference.ts'
import { measured } from './measured.ts'
import { requireRetention } from './require-retention.ts'
import { fragmentSelector, toInclusiveRange, type InclusiveRange } from './timestamp-range.ts'

/** An MP4 file of the fragments that begin in a range. */
export const getClip = defineOperation({
  name: 'GetClip',
  differs:
    'The MP4 is fragmented, so that it is sent from its first byte, and declares its length. No ceiling of ' +
    '200 fragments or 100 MB unless the configuration sets one. Gaps are closed up.',
  input: structure({
    ...streamReference,
    ClipFragmentSelector: required(fragmentSelector),
  }),
  resource: streamResource,
  handle: async ({ ClipFragmentSelector, ...stream }, { service, gone }) => {
    const info = findStream(service, stream)
    return measured(service.metrics, NAME, info, async () => {
      const range = toClipRange(ClipFragmentSelector, service.clock.now())
      requireRetention(info)
      const leave = service.archivedCalls.enter(NAME, info.streamId)
      gone.addEventListener('abort', leave) // also when nobody comes to send it
      try {
        const { memory } = service.clips
        const clip = await service.clips.open(info.streamId, range, gone)
        return new MediaAnswer('video/mp4', bytesOf(clip, service, info, leave), {
          ...{ memory, whenStopped: 'break' },
        })
      } catch (error) {
        leave()
        throw error
      }
    })
  },
})

const NAME = 'GetClip'
const MAX_RANGE_MS = 24 * 3_600_000

/** KVS API: ClipTimestampRange. */
function toClipRange(selector: InputOf<typeof fragmentSelector>, now: number): InclusiveRange {
  const range = toInclusiveRange(selector)
  if (range.to <= range.from)
    throw invalid('The EndTimestamp must be later than the StartTimestamp.')
  if (range.to - range.from > MAX_RANGE_MS) {
    throw invalid('The EndTimestamp must be within 24 hours of the StartTimestamp.')
  }
  if (range.by === 'server' && range.to > now) {
    throw invalid(
      'The EndTimestamp must be in the past when fragments are selected by server time.',
    )
  }
  return range
}

async function* bytesOf(
  { parts }: Clip,
  { metrics }: KinesisVideoService,
  { name: stream }: StreamInfo,
  leave: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const { bytes, fragment } of parts) {
      yield bytes
      metrics.playbackBytes.inc({ stream, format: 'mp4' }, bytes.length)
      if (fragment === null) continue
      metrics.playbackFragments.inc({ stream, format: 'mp4' })
      metrics.playbackFrames.inc({ stream, format: 'mp4' }, fragment.sampleCount)
      metrics.playbackFragmentsConsumed.inc({ stream, bucket: 'media' })
    }
  } finally {
    leave()
  }
}
