import { ServiceError } from '../../../domain/errors.ts'
import type { FragmentNumber } from '../../../domain/fragment.ts'
import {
  FRAGMENT_NUMBER_TAG,
  tagsElement,
  toMatroskaHeader,
} from '../../../media/matroska/writer.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import { list, required, string, structure } from '../../aws/input-schema.ts'
import { MEDIA_ERRORS, toDocumentHeader } from '../get-media/fragment-document.ts'
import { MediaAnswer } from '../media-answer.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'
import { measured } from './measured.ts'

/** Fragments by their numbers, one Matroska document each, in the order of the request. */
export const getMediaForFragmentList = defineOperation({
  name: 'GetMediaForFragmentList',
  differs: 'No limit of bytes per second. A fragment that cannot be read does not end the answer.',
  input: structure({
    ...streamReference,
    Fragments: required(
      list(string({ min: 1, max: 128, pattern: '[0-9]+' }), { min: 1, max: 1000 }),
    ),
  }),
  resource: streamResource,
  handle: async ({ Fragments, ...stream }, { service, gone }) => {
    const info = findStream(service, stream)
    return measured(service.metrics, NAME, info, async () => {
      const leave = service.archivedCalls.enter(NAME, info.streamId)
      gone.addEventListener('abort', leave) // also when nobody comes to send it
      const { memory } = service.mediaReaders
      return new MediaAnswer('video/webm', documents(service, info, Fragments, leave), {
        ...{ memory, whenStopped: 'break' },
      })
    })
  },
})

const NAME = 'GetMediaForFragmentList'

async function* documents(
  service: KinesisVideoService,
  info: StreamInfo,
  numbers: readonly string[],
  leave: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { metrics, log } = service
  const { name: stream } = info
  const labels = { stream, format: 'fragment-list' }
  try {
    for (const number of numbers) {
      const found = await readFragment(service, info, number as FragmentNumber)
      if ('failure' in found) {
        const { failure } = found
        if (failure !== null) log.warn({ err: failure, stream, number }, 'fragment not delivered')
        yield errorDocument(number, failure === null ? NOT_FOUND : INTERNAL)
        continue
      }
      const { fragment, header, bytes } = found
      const length = header.length + bytes.length
      yield header
      yield bytes
      metrics.playbackBytes.inc(labels, length)
      metrics.playbackFragments.inc(labels)
      metrics.playbackFrames.inc(labels, fragment.sampleCount)
      metrics.playbackFragmentsConsumed.inc({ stream, bucket: 'media' })
    }
  } finally {
    leave()
  }
}

/** `failure` is `null` when there is no such fragment. */
async function readFragment(
  { archive, mediaReaders }: KinesisVideoService,
  { streamId }: StreamInfo,
  number: FragmentNumber,
) {
  try {
    const fragment = await archive.find(streamId, number)
    if (fragment === null) return { failure: null }
    const { header, bytes } = await archive.read(fragment, mediaReaders.memory)
    return { fragment, header: toDocumentHeader(header), bytes }
  } catch (failure) {
    const isGone = failure instanceof ServiceError && failure.kind === 'not-found'
    return { failure: isGone ? null : failure }
  }
}

const NOT_FOUND = { code: MEDIA_ERRORS.FRAGMENT_NOT_FOUND, message: 'The fragment is not found.' }
const INTERNAL = { code: MEDIA_ERRORS.INTERNAL_ERROR, message: 'The fragment cannot be read.' }

/**
 * KVS API: GetMediaForFragmentList, Payload: what stands in place of a fragment. It has no server
 * timestamp: by that the parser library tells it from media.
 */
function errorDocument(
  number: string,
  { code, message }: { readonly code: number; readonly message: string },
): Uint8Array {
  return Buffer.concat([
    toDocumentHeader(toMatroskaHeader([])),
    tagsElement([
      [FRAGMENT_NUMBER_TAG, number],
      ['AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE', String(code)],
      ['AWS_KINESISVIDEO_EXCEPTION_MESSAGE', message],
    ]),
  ])
}
