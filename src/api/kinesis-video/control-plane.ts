import type { LiveSessions } from '../../ingest/index.ts'
import type { ChannelRegistry } from '../../registry/index.ts'

/** What the operations on streams and channels as such work with. */
export type ControlPlane = {
  readonly sessions: Pick<LiveSessions, 'whileClosed'>
  readonly channels: ChannelRegistry
  readonly limits: ControlLimits
}

export type ControlLimits = {
  readonly maxStreams: number
  readonly maxChannels: number
}
