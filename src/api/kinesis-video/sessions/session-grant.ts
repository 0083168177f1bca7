import { ServiceError } from '../../../domain/errors.ts'
import { epochMs } from '../../../domain/time.ts'
import type {
  DiscontinuityMode,
  PlaybackMode,
  SessionContainer,
  StreamingSession,
} from '../../../playback/index.ts'
import type { StreamInfo } from '../../../registry/index.ts'
import type { TokenSealer } from '../../aws/sealed-token.ts'
import type { KinesisVideoService } from '../operation.ts'

/** What a session token gives whoever holds it. */
export type SessionGrant = {
  readonly protocol: 'HLS' | 'DASH'
  readonly container: SessionContainer
  readonly session: StreamingSession
  readonly stream: Pick<StreamInfo, 'name' | 'createdAt' | 'streamId'>
  /** The key that made it: the session ends with it. */
  readonly accessKeyId: string
  readonly expiresAt: number
}

/**
 * The token as it stands in URLs: it names its stream, its key and all of the session, and holds
 * no secret. base64url (RFC 4648 §5) with a `~` at its end, as the service's own.
 */
export function toSessionToken(sealer: TokenSealer, grant: SessionGrant): string {
  const { protocol, container, session, stream, accessKeyId, expiresAt } = grant
  const { mode, clock, range, discontinuities, window, madeAt, start } = session
  const content: TokenContent = [
    stream.name,
    stream.createdAt,
    accessKeyId,
    madeAt,
    expiresAt - madeAt,
    [protocol, container, mode, clock, discontinuities].map((word) => WORDS.indexOf(word)),
    [session.showTimestamps, session.showNumbers, window.bound === 'asked', start.waits].map(
      Number,
    ),
    window.fragments,
    range?.from ?? 0,
    range?.to ?? null,
    start.afterCounter,
    start.sequence,
    start.targetDurationS,
  ]
  return `${sealer.seal(PURPOSE, content).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')}~`
}

/**
 * @throws ServiceError `permission-denied`/`InvalidSessionToken`, `SessionExpired`,
 *   `not-found`/`ResourceNotFoundException` when the stream is gone, or another of its name is there
 */
export function openSessionToken(
  service: Pick<KinesisVideoService, 'sealer' | 'registry' | 'clock'>,
  token: string,
): SessionGrant {
  const content = token.length > MAX_LENGTH ? null : openContent(service.sealer, token)
  if (content === null) {
    throw new ServiceError(
      'permission-denied',
      'InvalidSessionToken',
      'The session token is not valid.',
    )
  }
  const [name, createdAt, accessKeyId, madeAt, lifeMs, words, marks, ...numbers] = content
  const expiresAt = madeAt + lifeMs
  if (service.clock.now() >= expiresAt) {
    throw new ServiceError('permission-denied', 'SessionExpired', 'The session has expired.')
  }
  const stream = service.registry.find(name)
  if (stream === null || stream.createdAt !== createdAt) {
    throw new ServiceError(
      'not-found',
      'ResourceNotFoundException',
      'The stream of this session is not there any more.',
    )
  }
  const [protocol, container, mode, clock, discontinuities] = words.map((at) => WORDS[at])
  const [showTimestamps, showNumbers, isAsked, waits] = marks.map((mark) => mark === 1)
  const [fragments, from, to, afterCounter, sequence, targetDurationS] = numbers
  return {
    protocol: protocol as SessionGrant['protocol'],
    container: container as SessionContainer,
    stream,
    accessKeyId,
    expiresAt,
    session: {
      streamId: stream.streamId,
      mode: mode as PlaybackMode,
      clock: clock as StreamingSession['clock'],
      range: mode === 'LIVE' ? null : { from, to },
      discontinuities: discontinuities as DiscontinuityMode,
      showTimestamps: showTimestamps!,
      showNumbers: showNumbers!,
      window: { fragments, bound: isAsked! ? 'asked' : 'usual' },
      madeAt: epochMs(madeAt),
      start: { afterCounter, sequence, waits: waits!, targetDurationS },
    },
  }
}

/** Short, since it stands in every line of a playlist of thousands. */
type TokenContent = [
  name: string,
  createdAt: number,
  accessKeyId: string,
  madeAt: number,
  lifeMs: number,
  words: readonly number[],
  marks: readonly number[],
  fragments: number,
  from: number,
  to: number | null,
  afterCounter: number,
  sequence: number,
  targetDurationS: number,
]

/** By their place: the order is part of every token. */
const WORDS: readonly string[] = [
  ...['HLS', 'DASH', 'FRAGMENTED_MP4', 'MPEG_TS', 'LIVE', 'LIVE_REPLAY', 'ON_DEMAND'],
  ...['server', 'producer', 'ALWAYS', 'NEVER', 'ON_DISCONTINUITY'],
]

const PURPOSE = 'streaming session'
/** What a request's head holds besides it is longer than a stream's name. */
const MAX_LENGTH = 2048

function openContent(sealer: TokenSealer, token: string): TokenContent | null {
  const [, text] = /^([\w-]+)~?$/.exec(token) ?? []
  if (text === undefined) return null
  const base64 = text.replace(/-/g, '+').replace(/_/g, '/')
  const padding = '='.repeat((4 - (base64.length % 4)) % 4)
  return sealer.open(PURPOSE, base64 + padding) as TokenContent | null // sealed: ours, and whole
}
