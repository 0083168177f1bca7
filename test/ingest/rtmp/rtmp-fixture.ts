import {
  LoginLimiter,
  startRtmpServer,
  type IngestDeps,
  type RtmpServerOptions,
} from '../../../src/ingest/index.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { openIngestFixture } from '../ingest-fixture.ts'

export { KEY } from '../ingest-fixture.ts'

/** A listening server in front of {@link openIngestFixture}. */
export async function startFixture(
  options: Partial<RtmpServerOptions> = {},
  replace: (deps: IngestDeps) => Partial<IngestDeps> = () => ({}),
) {
  const fixture = await openIngestFixture(replace)
  const loginLimiter = new LoginLimiter(fixture.deps.clock)
  const server = untilTestEnds(
    await startRtmpServer(
      { loginLimiter, ...fixture.deps },
      { host: '127.0.0.1', port: 0, ...options },
    ),
  )
  return { ...fixture, server, port: server.port }
}
