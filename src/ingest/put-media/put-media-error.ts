import { MalformedMediaError, ServiceError } from '../../domain/errors.ts'
import type { PutMediaErrorCode } from './acknowledgement.ts'

/** What a producer sent breaks a rule that has an acknowledgement of its own. */
export class PutMediaError extends Error {
  override name = 'PutMediaError'
  readonly code: PutMediaErrorCode

  constructor(code: PutMediaErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** @throws what is no failure of the media or of the archive */
export function toPutMediaError(error: unknown): PutMediaError {
  if (error instanceof PutMediaError) return error
  if (!(error instanceof ServiceError)) throw error
  return new PutMediaError(codeOf(error), error.message)
}

function codeOf(error: ServiceError): PutMediaErrorCode {
  if (error instanceof MalformedMediaError) return 'INVALID_MKV_DATA'
  if (error.code === 'ElementTooLarge') return 'MAX_FRAGMENT_SIZE_REACHED'
  if (error.code === 'HeaderTooLarge') return 'INVALID_MKV_DATA'
  return 'ARCHIVAL_ERROR'
}
