import { ServiceError } from '../../../domain/errors.ts'
import type { ImageResult, ImageStyle, SelectorClock } from '../../../playback/index.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import {
  integer,
  map,
  oneOf,
  required,
  string,
  structure,
  timestamp,
  type InputOf,
} from '../../aws/input-schema.ts'
import { defineOperation, type KinesisVideoService } from '../operation.ts'
import { findStream, invalid, streamReference, streamResource } from '../stream-reference.ts'
import { measured } from './measured.ts'
import { nextToken, openPage, sealPage } from './page-token.ts'
import { requireRetention } from './require-retention.ts'
import { selectorType, toClock } from './timestamp-range.ts'

const getImagesInput = structure({
  ...streamReference,
  ImageSelectorType: required(selectorType),
  StartTimestamp: required(timestamp()),
  EndTimestamp: required(timestamp()),
  SamplingInterval: integer({}),
  Format: required(oneOf(['JPEG', 'PNG'])),
  FormatConfig: map(string({ pattern: 'JPEGQuality' }), string({ min: 0, max: 256 }), {
    min: 1,
    max: 1,
  }),
  WidthPixels: integer({ min: 1, max: 3840 }),
  HeightPixels: integer({ min: 1, max: 2160 }),
  MaxResults: integer({ min: 1, max: 100 }),
  NextToken: nextToken,
})

/** The pictures that a stream showed, at regular instants of a range. */
export const getImages = defineOperation({
  name: 'GetImages',
  differs:
    'The frame that was shown at each instant, however old within its fragment: NO_MEDIA only where there ' +
    'is none. SamplingInterval may be left out (3000). One of width and height will do. A page may hold ' +
    'fewer images when they are large.',
  input: getImagesInput,
  resource: streamResource,
  handle: async (input, { service, gone }) => {
    const info = findStream(service, input)
    return measured(service.metrics, NAME, info, async () => {
      const { sealer } = service
      const place =
        input.NextToken === undefined
          ? { question: toQuestion(input), from: 0 }
          : (openPage(sealer, NAME, input.NextToken, info.streamId) as Place)
      requireRetention(info)
      const count = Math.min(input.MaxResults ?? MAX_PAGE, MAX_PAGE)
      const leave = service.archivedCalls.enter(NAME, info.streamId)
      try {
        const { instants, results } = await readPage(service, info, { place, count, gone })
        const from = place.from + results.length
        return {
          Images: results.map((result, i) => describe(result, instants[i]!)),
          ...(instantOf(place.question, from) !== null && {
            NextToken: sealPage(sealer, NAME, { ...place, from }, info.streamId),
          }),
        }
      } finally {
        leave()
      }
    })
  },
})

const NAME = 'GetImages'
const MAX_PAGE = 25
const MAX_RANGE_MS = 300_000
const MIN_INTERVAL_MS = 200
const DEFAULT_INTERVAL_MS = 3000
const DEFAULT_QUALITY = 80
/** Of one page, before base64; the image that goes beyond it is its last. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024

type Question = {
  readonly by: SelectorClock
  readonly startMs: number
  readonly endMs: number
  readonly intervalMs: number
  readonly style: ImageStyle
}

/** Where a page begins: a token's content. */
type Place = {
  readonly question: Question
  /** Instants that were answered. */
  readonly from: number
}

/** @throws ServiceError `invalid-argument`/`InvalidArgumentException` */
function toQuestion(input: InputOf<typeof getImagesInput>): Question {
  const { StartTimestamp, EndTimestamp, SamplingInterval = DEFAULT_INTERVAL_MS } = input
  if (EndTimestamp < StartTimestamp) {
    throw invalid('The EndTimestamp must not be earlier than the StartTimestamp.')
  }
  if (EndTimestamp - StartTimestamp > MAX_RANGE_MS) {
    throw invalid('The EndTimestamp must be within 300 seconds of the StartTimestamp.')
  }
  if (SamplingInterval < MIN_INTERVAL_MS) {
    throw invalid(`The SamplingInterval must be ${MIN_INTERVAL_MS} milliseconds or more.`)
  }
  const { JPEGQuality = String(DEFAULT_QUALITY) } = input.FormatConfig ?? {}
  if (!/^[1-9][0-9]?$|^100$/.test(JPEGQuality)) throw invalid('JPEGQuality must be from 1 to 100.')
  return {
    by: toClock(input.ImageSelectorType),
    startMs: StartTimestamp,
    endMs: EndTimestamp,
    intervalMs: SamplingInterval,
    style: {
      format: input.Format === 'PNG' ? 'png' : 'jpeg',
      quality: Number(JPEGQuality),
      size: {
        widthPx: input.WidthPixels ?? null,
        heightPx: input.HeightPixels ?? null,
        limit: 'none',
      },
    },
  }
}

/** `null` behind the end of the range. */
function instantOf({ startMs, endMs, intervalMs }: Question, index: number): number | null {
  const instant = startMs + index * intervalMs
  return instant <= endMs ? instant : null
}

async function readPage(
  { images, metrics }: KinesisVideoService,
  { streamId, name: stream }: StreamInfo,
  {
    place,
    count,
    gone,
  }: { readonly place: Place; readonly count: number; readonly gone: AbortSignal },
) {
  const { question, from } = place
  const instants = Array.from({ length: count }, (_, i) => instantOf(question, from + i)).filter(
    (instant) => instant !== null,
  )
  const { by, style } = question
  try {
    const wanted = { by, instants, style, maxBytes: MAX_PAGE_BYTES }
    const results = await images.imagesAt(streamId, wanted, gone)
    const bytes = results.reduce((sum, { image }) => sum + (image?.bytes.length ?? 0), 0)
    metrics.playbackBytes.inc({ stream, format: 'image' }, bytes)
    metrics.playbackFragmentsConsumed.inc({ stream, bucket: 'media' }, results.length)
    return { instants, results }
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'WorkerBusy') throw error
    throw new ServiceError(
      'limit-exceeded',
      'ClientLimitExceededException',
      'Too many images are being made.',
      { cause: error },
    )
  }
}

function describe({ image, missing }: ImageResult, instant: number): object {
  const TimeStamp = instant / 1000
  if (image === null) return { TimeStamp, Error: ERRORS[missing] }
  const { buffer, byteOffset, byteLength } = image.bytes
  return { TimeStamp, ImageContent: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }
}

const ERRORS = {
  'no-media': 'NO_MEDIA',
  'no-pictures': 'MEDIA_ERROR',
  'media-error': 'MEDIA_ERROR',
} as const
