import { toStreamId } from '../../domain/stream.ts'
import { epochMs } from '../../domain/time.ts'
import { STREAM_DEFAULTS, type SourceSettings } from '../../registry/index.ts'
import type { SessionDeps } from '../ingest-deps.ts'
import { LiveSessions, type LiveSession } from '../live-sessions.ts'
import type { Pull } from '../pull/pull.ts'
import type { IngestSession } from '../session-info.ts'
import { createDiscardingWriter } from './discarding-writer.ts'
import { toShownFailure } from './withhold-secrets.ts'

export type SourceFindings = {
  /** At the end of the time that it was watched. */
  readonly session: IngestSession
  /** From the call to the session, and to the first fragment that begins with a key frame; ms. */
  readonly answeredAfterMs: number
  readonly keyFrameAfterMs: number | null
}

export type TrySourceDeps = Omit<SessionDeps, 'registry' | 'archive'> & {
  readonly pullOf: (url: URL) => Pull
}

/**
 * Calls a source once, as the service would, watches what comes for a while and keeps nothing of it.
 *
 * @param signal ends it early
 * @throws PullError why nothing came; the signal's reason
 */
export async function trySource(
  deps: TrySourceDeps,
  settings: SourceSettings,
  { watchMs, signal }: { readonly watchMs: number; readonly signal: AbortSignal },
): Promise<SourceFindings> {
  const { clock } = deps
  const startedAt = clock.monotonicMs()
  const since = () => Math.round(clock.monotonicMs() - startedAt)
  let keyFrameAfterMs: number | null = null
  const writer = createDiscardingWriter(STREAM.streamId, ({ startsWithKey }) => {
    if (startsWithKey) keyFrameAfterMs ??= since()
  })
  const sessionDeps: SessionDeps = {
    ...deps,
    registry: { find: () => STREAM, acceptsPublishKey: () => false },
    archive: { openWriter: async () => writer },
  }
  const leaving = new AbortController()
  const leave = () => leaving.abort('unpublished')
  signal.addEventListener('abort', leave, { once: true })
  let findings: SourceFindings | null = null
  const watch = async (session: LiveSession) => {
    const answeredAfterMs = since()
    await clock.sleep(watchMs, leaving.signal).catch(() => undefined) // it ended, or was told to
    findings = { session: session.snapshot(), answeredAfterMs, keyFrameAfterMs }
    leave()
  }
  let watching = Promise.resolve()
  try {
    const pull = deps.pullOf(settings.url)
    const sessions = new LiveSessions(sessionDeps)
    const onPublishing = (session: LiveSession) => void (watching = watch(session))
    const target = { stream: STREAM.name, ...settings }
    await pull(target, { ...sessionDeps, sessions, onPublishing }, leaving.signal)
  } catch (error) {
    throw toShownFailure(error, settings)
  } finally {
    signal.removeEventListener('abort', leave)
    leave()
    await watching
  }
  signal.throwIfAborted()
  return findings!
}

const STREAM = {
  ...STREAM_DEFAULTS,
  streamId: toStreamId('test', 0),
  name: 'test',
  createdAt: epochMs(0),
  retentionHours: 0,
  version: '1',
}
