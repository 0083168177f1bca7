import { ServiceError } from '../../../domain/errors.ts'
import { parseStreamArn, type StreamReference } from '../stream-reference.ts'

/**
 * The older tag operations tell an ARN of something else apart from that of a stream that is not there.
 *
 * @throws ServiceError `invalid-argument`/`InvalidResourceFormatException`
 */
export function requireStreamArn({ StreamARN }: StreamReference): void {
  if (StreamARN === undefined || parseStreamArn(StreamARN) !== null) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidResourceFormatException',
    'The format of the StreamARN is invalid.',
  )
}
