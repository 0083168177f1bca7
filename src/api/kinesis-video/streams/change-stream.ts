import { ServiceError } from '../../../domain/errors.ts'
import type { StreamChange, StreamInfo } from '../../../registry/index.ts'
import { string } from '../../aws/input-schema.ts'
import type { KinesisVideoService } from '../operation.ts'
import { findStream, type StreamReference } from '../stream-reference.ts'

export const version = string({ min: 1, max: 64, pattern: '[a-zA-Z0-9]+' })

/**
 * Changes a stream, unless somebody else did so since the caller looked at it.
 *
 * @param input `CurrentVersion` absent: whatever its version is
 * @param change of the stream as it is at its turn; what it throws changes nothing
 * @throws ServiceError `not-found`/`ResourceNotFoundException`, `conflict`/`VersionMismatchException`
 */
export function changeStream(
  service: KinesisVideoService,
  input: StreamReference & { readonly CurrentVersion?: string | undefined },
  change: (current: StreamInfo) => StreamChange,
): Promise<StreamInfo> {
  const { name } = findStream(service, input)
  return service.registry.update(name, () => {
    const current = findStream(service, input) // by now it may be another one of that name
    requireVersion(current, input.CurrentVersion)
    return change(current)
  })
}

/** @throws ServiceError `conflict`/`VersionMismatchException` */
export function requireVersion(
  resource: { readonly name: string; readonly version: string },
  expected: string | undefined,
): void {
  if (expected === undefined || expected === resource.version) return
  throw new ServiceError(
    'conflict',
    'VersionMismatchException',
    `The CurrentVersion ${expected} is not the latest version of ${resource.name}.`,
  )
}
