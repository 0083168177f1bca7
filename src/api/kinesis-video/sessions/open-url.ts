import { ServiceError } from '../../../domain/errors.ts'
import type { SessionContainer, SessionRequest } from '../../../playback/index.ts'
import { measured } from '../archived/measured.ts'
import { requireRetention } from '../archived/require-retention.ts'
import type { Call } from '../operation.ts'
import { findStream } from '../stream-reference.ts'
import { toSessionToken, type SessionGrant } from './session-grant.ts'
import { DEFAULT_EXPIRES_S } from './session-request.ts'

type Opening = {
  readonly operation: string
  readonly protocol: SessionGrant['protocol']
  readonly container: SessionContainer
  /** Below the origin. */
  readonly path: string
  readonly expiresS: number | undefined
  readonly toRequest: () => Omit<SessionRequest, 'streamId'>
}

/**
 * The URL of a new session.
 *
 * @throws ServiceError what the operations declare
 */
export async function openSessionUrl(
  { service, caller, origin }: Call,
  stream: Parameters<typeof findStream>[1],
  { operation, protocol, container, path, expiresS = DEFAULT_EXPIRES_S, toRequest }: Opening,
): Promise<string> {
  const info = findStream(service, stream)
  return measured(service.metrics, operation, info, async () => {
    const request = toRequest()
    requireRetention(info)
    const session = await openTranslated(() =>
      service.streaming.open({ ...request, streamId: info.streamId }),
    )
    const token = toSessionToken(service.sealer, {
      ...{ protocol, container, session, stream: info },
      accessKeyId: caller.accessKeyId,
      expiresAt: service.clock.now() + expiresS * 1000,
    })
    return `${origin}${path}?SessionToken=${token}`
  })
}

async function openTranslated<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'UnsupportedMedia') {
      const code = 'UnsupportedStreamMediaTypeException'
      throw new ServiceError('invalid-argument', code, error.message, { cause: error })
    }
    throw error
  }
}
