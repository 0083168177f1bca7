import { list, map, required, string, structure } from '../../aws/input-schema.ts'
import type { Tags } from '../../../registry/index.ts'
import { invalid } from '../stream-reference.ts'

const CHARACTERS = '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*'
const tagKey = string({ min: 1, max: 128, pattern: CHARACTERS })
const tagValue = string({ min: 0, max: 256, pattern: CHARACTERS })

/** Of one request; how many a resource may have, the registry knows. */
const MAX_OF_A_REQUEST = 200

export const tagMap = map(tagKey, tagValue, { min: 1, max: MAX_OF_A_REQUEST })

/** @param min 0 where an empty list is none */
export function tagList(min: 0 | 1) {
  const tag = structure({ Key: required(tagKey), Value: required(tagValue) })
  return list(tag, { min, max: MAX_OF_A_REQUEST })
}

export const tagKeyList = list(tagKey, { min: 1, max: 50 })

/** @throws ServiceError `invalid-argument`/`InvalidArgumentException` when a key comes twice */
export function toTags(tags: readonly { readonly Key: string; readonly Value: string }[]): Tags {
  const pairs = new Map(tags.map(({ Key, Value }) => [Key, Value]))
  if (pairs.size < tags.length) throw invalid('Tags has a Key twice.')
  return Object.fromEntries(pairs)
}

/** Keys that are not there are ignored. */
export function withoutTags(tags: Tags, keys: readonly string[]): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key)))
}
