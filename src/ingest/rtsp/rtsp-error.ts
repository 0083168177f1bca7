import { ServiceError } from '../../domain/errors.ts'

/**
 * The peer broke the protocol so that nothing after it can be read; its connection ends and nothing
 * else does.
 */
export class RtspProtocolError extends ServiceError {
  override name = 'RtspProtocolError'
  constructor(message: string, context: Record<string, unknown> = {}) {
    super('malformed-media', 'RtspProtocolError', message, { context })
  }
}
