import type { TagPair } from '../../media/matroska/tags.ts'

/**
 * What a producer's Tags between two Clusters mean: metadata of the fragment before them, and the
 * sign that it is complete (Kinesis Video Streams API, "Streaming metadata").
 */
export type FragmentTags = {
  /** Kept with the fragment; the producer's own pairs, and image and event marks. */
  readonly isKept: boolean
  readonly endsFragment: boolean
  readonly pairs: number
}

export type TagLimits = {
  readonly maxPairs: number
  readonly maxNameBytes: number
  readonly maxValueBytes: number
}

export const TAG_LIMITS: TagLimits = { maxPairs: 10, maxNameBytes: 128, maxValueBytes: 256 }

/** @returns what is wrong, as a string, when the metadata breaks a limit */
export function readFragmentTags(
  pairs: readonly TagPair[],
  limits: TagLimits = TAG_LIMITS,
): FragmentTags | string {
  const own = pairs.filter(({ name }) => !name.startsWith(RESERVED))
  for (const { name, value } of own) {
    if (Buffer.byteLength(name) > limits.maxNameBytes)
      return `a tag name of over ${limits.maxNameBytes} bytes`
    if (Buffer.byteLength(value) > limits.maxValueBytes)
      return `a tag value of over ${limits.maxValueBytes} bytes`
    if (name.startsWith('AWS')) return `the tag name ${JSON.stringify(name)} begins with AWS`
  }
  return {
    isKept: own.length > 0 || pairs.some(({ name }) => MARKS.has(name)),
    endsFragment: pairs.some(({ name }) => name === END_OF_FRAGMENT),
    pairs: own.length,
  }
}

const RESERVED = 'AWS_KINESISVIDEO_'
const END_OF_FRAGMENT = `${RESERVED}END_OF_FRAGMENT`
/** A producer asks for an image, or for a notification, of this fragment. */
const MARKS = new Set([`${RESERVED}IMAGE_GENERATION`, `${RESERVED}NOTIFICATION`])
