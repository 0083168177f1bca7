import type { Archive } from '../../archive/index.ts'
import { ServiceError } from '../../domain/errors.ts'
import { counterOf, type Fragment } from '../../domain/fragment.ts'
import { toTargetDuration } from '../../media/hls/media-playlist.ts'
import type { Clock } from '../../platform/clock.ts'
import { startOf } from '../fragment-pages.ts'
import type { ChunkFormats } from '../hls/chunk-formats.ts'
import { fragmentsOf } from './session-listings.ts'
import type { SessionStart, StreamingSession } from './streaming-session.ts'

/** What is asked for; the rest of a session is what there is to play. */
export type SessionRequest = Omit<StreamingSession, 'start' | 'madeAt'>

/** KVS API, GetHLSStreamingSessionURL: a live stream without fragments for so long has nothing to play. */
export const LIVE_MAX_AGE_MS = 30_000
/** So many of the newest fragments tell how long the next ones may be. */
const HISTORY = 32
/** Seconds, of a stream that never had media. */
const EXPECTED_TARGET_DURATION_S = 4

/**
 * Begins a session. A live one begins with the newest fragments, or waits for the next where nothing
 * has come for 30 s.
 *
 * @throws ServiceError `not-found`/`NoMedia` when a range holds nothing; what `ChunkFormats.of` throws
 *   when nothing of what is there can be played
 */
export async function openSession(
  request: SessionRequest,
  deps: { readonly archive: Archive; readonly clock: Clock; readonly formats: ChunkFormats },
): Promise<StreamingSession> {
  const { clock, formats } = deps
  const session = { ...request, madeAt: clock.now(), start: NO_START }
  const { fragments, start } =
    request.mode === 'LIVE'
      ? await startLive(session, deps.archive)
      : await startRange(session, deps.archive)
  await formats.of(fragments)
  return { ...session, start }
}

const NO_START: SessionStart = { afterCounter: 0, sequence: 0, waits: false, targetDurationS: 1 }

type Started = { readonly fragments: readonly Fragment[]; readonly start: SessionStart }

async function startLive(session: StreamingSession, archive: Archive): Promise<Started> {
  const { streamId, window, madeAt } = session
  const newest = await archive.newest(streamId, Math.max(window.fragments, HISTORY))
  const last = newest.at(-1)
  if (last === undefined) {
    const waiting = { waits: true, targetDurationS: EXPECTED_TARGET_DURATION_S }
    return { fragments: [], start: { ...NO_START, ...waiting } }
  }
  const targetDurationS = toTargetDuration(newest.slice(-HISTORY))
  const arrivedAt = last.serverTimestamp + last.arrivalSpanMs
  if (arrivedAt < madeAt - LIVE_MAX_AGE_MS) {
    const afterCounter = counterOf(last)
    const sequence = last.sequence + 1
    return { fragments: [], start: { afterCounter, sequence, waits: true, targetDurationS } }
  }
  const fragments = newest.slice(-window.fragments)
  const first = fragments[0]!
  return {
    fragments,
    start: {
      afterCounter: counterOf(first) - 1,
      sequence: first.sequence,
      waits: false,
      targetDurationS,
    },
  }
}

async function startRange(session: StreamingSession, archive: Archive): Promise<Started> {
  const fragments: Fragment[] = []
  for await (const each of fragmentsOf(session, archive, { behind: null, pageSize: HISTORY })) {
    fragments.push(each)
    if (fragments.length === HISTORY) break
  }
  if (fragments.length === 0) {
    throw new ServiceError(
      'not-found',
      'NoMedia',
      'No fragments found in the stream for the streaming request.',
    )
  }
  const targetDurationS = toTargetDuration(fragments)
  return { fragments, start: { ...NO_START, targetDurationS } }
}

/** Whether a session may show a fragment: what its holder was given is a range, not the stream. */
export function belongsTo(
  { mode, range, clock, start }: StreamingSession,
  fragment: Fragment,
): boolean {
  if (mode === 'LIVE') return counterOf(fragment) > start.afterCounter
  const at = startOf(fragment, clock)
  return range !== null && at >= range.from && at <= (range.to ?? Infinity)
}
