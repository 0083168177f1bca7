import { ServiceError } from '../domain/errors.ts'

/** What people mark their resources with: at most 50 on one. */
export type Tags = Readonly<Record<string, string>>

const MAX_TAGS = 50

/** @throws ServiceError `limit-exceeded`/`TooManyTags` */
export function checkTags(tags: Tags = {}): void {
  const count = Object.keys(tags).length
  if (count <= MAX_TAGS) return
  throw new ServiceError(
    'limit-exceeded',
    'TooManyTags',
    `A resource has at most ${MAX_TAGS} tags, not ${count}.`,
  )
}
