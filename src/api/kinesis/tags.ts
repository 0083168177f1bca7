import { string } from './input-schema.ts'

/** Tags of one resource. */
export const MAX_TAGS = 50
/** Letters, digits and white space of any script, and `_ . / = + - @ %`. */
const TAG_CHARACTERS = '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@%]'

export const tagKey = string({ min: 1, max: 128, pattern: `${TAG_CHARACTERS}*` })
export const tagValue = string({ min: 0, max: 256, pattern: `${TAG_CHARACTERS}*` })
