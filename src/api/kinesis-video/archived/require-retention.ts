import { ServiceError } from '../../../domain/errors.ts'
import type { StreamInfo } from '../../../registry/index.ts'

/** @throws ServiceError `invalid-argument`/`NoDataRetentionException` when nothing is archived */
export function requireRetention({ name, retentionHours }: StreamInfo): void {
  if (retentionHours > 0) return
  throw new ServiceError(
    'invalid-argument',
    'NoDataRetentionException',
    `The stream ${name} keeps no data: its retention is 0.`,
  )
}
