import { ServiceError } from '../../domain/errors.ts'

/** DryRun: all checks have passed, and nothing is done. */
export function refuseDryRun(dryRun: boolean | undefined): void {
  if (dryRun !== true) return
  throw new ServiceError(
    'conflict',
    'DryRunOperationException',
    'The request would have succeeded, but the DryRun parameter is set.',
  )
}
