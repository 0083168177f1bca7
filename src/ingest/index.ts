export type { IngestDeps } from './ingest-deps.ts'
export { LiveSessions } from './live-sessions.ts'
export type { IngestSession, TrackInfo } from './session-info.ts'
export { startRtmpServer, type RtmpServer, type RtmpServerOptions } from './rtmp/server.ts'
