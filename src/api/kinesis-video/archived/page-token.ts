import type { StreamId } from '../../../domain/stream.ts'
import { string } from '../../aws/input-schema.ts'
import type { TokenSealer } from '../../aws/sealed-token.ts'
import { invalid } from '../stream-reference.ts'

/** As the archived media's model has it; the control operations have another one. */
export const nextToken = string({ min: 1, max: 4096, pattern: '[a-zA-Z0-9+/]+={0,2}' })

/** A token holds the whole question, so it goes on with the one that was asked first. */
export function sealPage(
  sealer: TokenSealer,
  operation: string,
  page: object,
  streamId: StreamId,
): string {
  return sealer.seal(purposeOf(operation, streamId), page)
}

/**
 * @returns what was sealed for this operation and this stream
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException`
 */
export function openPage(
  sealer: TokenSealer,
  operation: string,
  token: string,
  streamId: StreamId,
): unknown {
  const page = sealer.open(purposeOf(operation, streamId), token)
  if (page === null) throw invalid(`The NextToken is not one of ${operation} of this stream.`)
  return page
}

function purposeOf(operation: string, streamId: StreamId): string {
  return `page of ${operation} of video stream ${streamId}`
}
