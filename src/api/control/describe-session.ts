import type { IngestSession } from '../../ingest/index.ts'

/** A publishing session as the control API answers it; docs/ref/control-api.md says what is what. */
export function describeSession(session: IngestSession) {
  const { protocol, peer, startedAt, tracks, bitrateBps, frameRate } = session
  const { gop, clock, transport, reconnects, lastSampleAt, losses, dropped } = session
  return {
    protocol,
    peer,
    startedAt: new Date(startedAt).toISOString(),
    lastSampleAt: lastSampleAt === null ? null : new Date(lastSampleAt).toISOString(),
    tracks: tracks.map(({ kind, codec, video, audio }) => ({ kind, codec, ...video, ...audio })),
    bitrateBps: Math.round(bitrateBps),
    framesPerSecond: Number(frameRate.toFixed(2)),
    gop,
    clock,
    transport,
    losses,
    dropped,
    reconnects,
  }
}
