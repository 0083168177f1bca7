import { ServiceError } from '../../domain/errors.ts'

/**
 * The peer broke the protocol; its session ends and nothing else does. `context` says where:
 * enough to find the place in a capture.
 */
export class RtmpProtocolError extends ServiceError {
  override name = 'RtmpProtocolError'
  constructor(message: string, context: Record<string, unknown> = {}, cause?: unknown) {
    super('malformed-media', 'RtmpProtocolError', message, { context, cause })
  }
}
