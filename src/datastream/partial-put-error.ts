import { ServiceError } from '../domain/errors.ts'
import type { PutResult } from './data-streams.ts'

/** Some records of a put are on disk and some are not. Putting all again would store some twice. */
export class PartialPutError extends ServiceError {
  override name = 'PartialPutError'
  /** In the request's order; `null` where the record was not stored. */
  readonly results: readonly (PutResult | null)[]

  constructor(results: readonly (PutResult | null)[], cause: unknown) {
    const failed = results.filter((result) => result === null).length
    super(
      'unavailable',
      'LogWriteFailed',
      `${failed} of ${results.length} records were not stored.`,
      {
        cause,
      },
    )
    this.results = results
  }
}
