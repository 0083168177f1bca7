import { map, string } from '../aws/input-schema.ts'
import { invalid } from './stream-address.ts'

/** Tags of one resource. */
export const MAX_TAGS = 50
/** Letters, digits and white space of any script, and `_ . / = + - @ %`. */
const TAG_CHARACTERS = '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@%]'

export const tagKey = string({ min: 1, max: 128, pattern: `${TAG_CHARACTERS}*` })
export const tagValue = string({ min: 0, max: 256, pattern: `${TAG_CHARACTERS}*` })
/** Of one request; how many a resource may have is another matter. */
export const tagMap = map(tagKey, tagValue, { min: 1, max: 200 })

/** @throws `invalid-argument`/`InvalidArgumentException` */
export function refuseTooManyTags(tags: Readonly<Record<string, string>>, resource: string): void {
  if (Object.keys(tags).length <= MAX_TAGS) return
  throw invalid(`Failed to add tags to ${resource}: a resource has at most ${MAX_TAGS} tags.`)
}

export function withoutTags(
  tags: Readonly<Record<string, string>>,
  keys: readonly string[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key)))
}

/** In the order of the keys. */
export function toTagList(tags: Readonly<Record<string, string>>) {
  return Object.keys(tags)
    .sort()
    .map((key) => ({ Key: key, Value: tags[key]! }))
}
