import type { Archive } from '../archive/index.ts'
import type { Events } from '../observe/events.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { StreamRegistry } from '../registry/index.ts'

/** What every ingest protocol needs from the rest of the service. */
export type IngestDeps = SessionDeps & {
  readonly registry: StreamRegistry
  readonly archive: Archive
}

/** What a session needs: its stream, and a place for its media. */
export type SessionDeps = {
  readonly registry: Pick<StreamRegistry, 'find' | 'acceptsPublishKey'>
  readonly archive: Pick<Archive, 'openWriter'>
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}
