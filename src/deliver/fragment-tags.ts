import { ElementId } from '../media/matroska/element-id.ts'
import { scanElements } from '../media/matroska/scanner.ts'
import { parseTags } from '../media/matroska/tags.ts'

/** What the producer said of a fragment. */
export type FragmentTags = {
  /** Of those below, which ask for something. */
  readonly asks: ReadonlyMap<string, string>
  /** The producer's own. */
  readonly own: ReadonlyMap<string, string>
}

/** Developer guide, "Image generation" and "Notifications": tags that ask for either. */
export const IMAGE_GENERATION_TAG = 'AWS_KINESISVIDEO_IMAGE_GENERATION'
export const IMAGE_PREFIX_TAG = 'AWS_KINESISVIDEO_IMAGE_PREFIX'
export const NOTIFICATION_TAG = 'AWS_KINESISVIDEO_NOTIFICATION'

/** @param bytes of a stored fragment: leading Tags, Cluster, the producer's Tags */
export function readFragmentTags(bytes: Uint8Array): FragmentTags {
  const asks = new Map<string, string>()
  const own = new Map<string, string>()
  for (const element of scanElements(bytes)) {
    if (element.id !== ElementId.Tags) continue
    for (const { name, value } of parseTags(bytes, element)) {
      ;(name.startsWith('AWS_KINESISVIDEO_') ? asks : own).set(name, value)
    }
  }
  return { asks, own }
}
