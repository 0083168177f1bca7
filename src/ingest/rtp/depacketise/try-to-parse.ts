import { MalformedMediaError } from '../../../domain/errors.ts'

/** `null` for what cannot be parsed: one structure that makes no sense ends nothing. */
export function tryToParse<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof MalformedMediaError) return null
    throw error
  }
}
