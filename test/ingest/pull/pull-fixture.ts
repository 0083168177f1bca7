import { onTestFinished } from 'vitest'
import { PullError, type Pull, type PullTarget } from '../../../src/ingest/pull/pull.ts'
import { createDeferred } from '../../../src/platform/deferred.ts'
import type { LiveSession } from '../../../src/ingest/live-sessions.ts'
import { openIngestFixture } from '../ingest-fixture.ts'

/** One attempt of a pull into {@link openIngestFixture}; it is told to leave when the test ends. */
export async function startPull(
  pull: Pull,
  url: string,
  options: Partial<PullTarget> = {},
  replace?: Parameters<typeof openIngestFixture>[0],
) {
  const fixture = await openIngestFixture(replace)
  const leaving = new AbortController()
  const publishing = createDeferred<LiveSession>()
  const target: PullTarget = {
    stream: 'x',
    url: new URL(url),
    credentials: null,
    transport: 'auto',
    verifyCertificate: true,
    connectTimeoutMs: 5_000,
    stallTimeoutMs: 10_000,
    ...options,
  }
  const ended = pull(
    target,
    { ...fixture.deps, onPublishing: (session) => publishing.resolve(session) },
    leaving.signal,
  )
  /** `null` when it left as it was told. */
  const outcome = ended.then(
    () => null,
    (error: unknown) => {
      if (!(error instanceof PullError)) throw error
      return { reason: error.reason, message: error.message }
    },
  )
  onTestFinished(async () => {
    leaving.abort('shutdown')
    await outcome
  })
  return {
    ...fixture,
    outcome,
    publishing: publishing.promise,
    leave: () => leaving.abort('source-changed'),
  }
}
