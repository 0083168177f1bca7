import {
  LoginLimiter,
  startRtspServer,
  UdpPortRange,
  type IngestDeps,
  type RtspServerOptions,
} from '../../../src/ingest/index.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { openIngestFixture } from '../ingest-fixture.ts'

export { KEY } from '../ingest-fixture.ts'

/** A range of its own per worker of the test run, so that parallel suites do not meet. */
export const UDP_PORTS = {
  first: 20_000 + 200 * Number(process.env['VITEST_POOL_ID'] ?? 0),
  last: 20_199 + 200 * Number(process.env['VITEST_POOL_ID'] ?? 0),
}

/** A listening server in front of {@link openIngestFixture}. */
export async function startFixture(
  options: Partial<RtspServerOptions> = {},
  replace: (deps: IngestDeps) => Partial<IngestDeps> = () => ({}),
) {
  const fixture = await openIngestFixture(replace)
  const loginLimiter = new LoginLimiter(fixture.deps.clock)
  const udpPorts = new UdpPortRange(UDP_PORTS)
  const server = untilTestEnds(
    await startRtspServer(
      { ...fixture.deps, loginLimiter },
      { host: '127.0.0.1', port: 0, udpPorts, ...options },
    ),
  )
  return { ...fixture, server, port: server.port, loginLimiter }
}
