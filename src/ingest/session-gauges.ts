import type { Metrics } from '../observe/metrics.ts'
import type { IngestSession } from './session-info.ts'

/**
 * Sets the gauges of the sessions that are on, at a scrape. They are reset first, so that a session
 * that has ended leaves none behind.
 */
export function setSessionGauges(metrics: Metrics, sessions: readonly IngestSession[]): void {
  const { ingestBitrate, ingestFrameRate, ingestGop, ingestGopMax, ingestDrift } = metrics
  const { ingestJitter, ingestPackets, ingestPacketsLost, ingestReconnects } = metrics
  for (const gauge of [ingestBitrate, ingestFrameRate, ingestGop, ingestGopMax, ingestDrift]) {
    gauge.reset()
  }
  for (const gauge of [ingestJitter, ingestPackets, ingestPacketsLost, ingestReconnects]) {
    gauge.reset()
  }
  for (const { stream, bitrateBps, frameRate, gop, clock, transport, reconnects } of sessions) {
    ingestBitrate.set({ stream }, bitrateBps)
    ingestFrameRate.set({ stream }, frameRate)
    ingestReconnects.set({ stream }, reconnects.count)
    if (gop !== null) {
      ingestGop.set({ stream }, gop.lastMs / 1000)
      ingestGopMax.set({ stream }, gop.maxMs / 1000)
    }
    if (clock !== null && clock.driftPpm !== null) ingestDrift.set({ stream }, clock.driftPpm)
    if (transport === null) continue
    ingestJitter.set({ stream }, transport.jitterMs / 1000)
    ingestPackets.set({ stream }, transport.packetsReceived)
    ingestPacketsLost.set({ stream }, transport.packetsLost)
  }
}
