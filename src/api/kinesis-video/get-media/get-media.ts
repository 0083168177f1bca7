import { required, structure } from '../../aws/input-schema.ts'
import { MediaAnswer } from '../media-answer.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { errorDocument } from './fragment-document.ts'
import { MediaFollower, type FollowEnd } from './follow-media.ts'
import { findStart, readStart, startSelector } from './start-selector.ts'

/** Fragments from a place on, one Matroska document each, and then live while they grow. */
export const getMedia = defineOperation({
  name: 'GetMedia',
  differs:
    'No end after 45 minutes and no limit of bytes or fragments per second. The number of readers ' +
    'is configured.',
  input: structure({ ...streamReference, StartSelector: required(startSelector) }),
  resource: streamResource,
  handle: async ({ StartSelector, ...stream }, { service, gone }) => {
    const info = findStream(service, stream)
    const start = readStart(StartSelector)
    const leave = service.mediaReaders.enter(info.streamId)
    gone.addEventListener('abort', leave) // also when nobody comes to send it
    const { memory } = service.mediaReaders
    const parts = readMedia(service, { info, start, gone, leave })
    return new MediaAnswer('video/webm', parts, { memory, whenStopped: 'end' })
  },
})

type Reading = {
  readonly info: ReturnType<typeof findStream>
  readonly start: ReturnType<typeof readStart>
  readonly gone: AbortSignal
  readonly leave: () => void
}

async function* readMedia(
  { archive, clock, log, metrics, mediaReaders }: KinesisVideoService,
  { info, start, gone, leave }: Reading,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { streamId, name: stream } = info
  metrics.getMediaReaders.inc({ stream })
  let end: FollowEnd | 'not-there' | 'cut' = 'cut'
  try {
    const found = await findStart(archive, info, start)
    if (found === 'not-there') {
      yield errorDocument(
        start.from === 'after' ? start.fragmentNumber : null,
        'FRAGMENT_NOT_FOUND',
      )
      end = 'not-there'
      return
    }
    const { idleMs, memory } = mediaReaders
    const follower = new MediaFollower({
      ...{ archive, streamId, after: found.after, signal: gone, idleMs, clock, memory },
      onFragment: ({ bytes, samples, millisBehindNow }) => {
        metrics.playbackBytes.inc({ stream, format: 'get-media' }, bytes)
        metrics.playbackFragments.inc({ stream, format: 'get-media' })
        metrics.playbackFrames.inc({ stream, format: 'get-media' }, samples)
        metrics.getMediaBehind.observe(Math.max(0, millisBehindNow) / 1000)
      },
      onFailure: (err) => log.warn({ err, stream }, 'GetMedia cannot read a fragment'),
    })
    end = yield* follower.follow()
  } finally {
    leave()
    metrics.getMediaReaders.dec({ stream })
    metrics.getMediaEnded.inc({ stream, reason: gone.aborted ? 'left' : end })
  }
}
