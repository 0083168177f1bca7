export type { IngestDeps } from './ingest-deps.ts'
export { LiveSessions } from './live-sessions.ts'
export { setSessionGauges } from './session-gauges.ts'
export type { IngestSession, TrackInfo } from './session-info.ts'
export { startRtmpServer, type RtmpServerDeps, type RtmpServerOptions } from './rtmp/server.ts'
export { pullOf } from './sources/pull-of.ts'
export type { SourceStatus } from './sources/source-status.ts'
export { startSources, type Sources } from './sources/start-sources.ts'
export { trySource, type SourceFindings } from './sources/try-source.ts'
export { PullError } from './pull/pull.ts'
export { LoginLimiter } from './login-limiter.ts'
export { startRtspServer, type RtspServerDeps, type RtspServerOptions } from './rtsp/server.ts'
export { UdpPortRange } from './rtsp/udp-ports.ts'
export { toAcknowledgementLine, type Acknowledgement } from './put-media/acknowledgement.ts'
export {
  PutMediaSession,
  type PutMediaLimits,
  type PutMediaRequest,
} from './put-media/put-media-session.ts'
