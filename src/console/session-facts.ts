import type { SessionStatus } from './api-types.ts'

/**
 * How well a session does, for people: what is measured, and of what can go wrong only what did.
 * Names and values, in the order in which to show them.
 */
export function toSessionFacts(session: SessionStatus): (readonly [name: string, value: string])[] {
  const { gop, clock, transport, losses, dropped, reconnects } = session
  const facts: (readonly [string, string])[] = []
  if (gop !== null) facts.push(['Key frames', describeGop(gop)])
  if (clock !== null) facts.push(['Clock', describeClock(clock)])
  if (transport !== null) facts.push(['Network', describeTransport(transport)])
  else if (losses > 0) facts.push(['Lost', `in ${losses} places`])
  const reasons = Object.entries(dropped)
  if (reasons.length > 0) {
    facts.push(['Not stored', reasons.map(([reason, n]) => `${n} ${reason}`).join(', ')])
  }
  if (reconnects.count > 0) {
    const { count, lastReason } = reconnects
    facts.push(['Reconnects', lastReason === null ? `${count}` : `${count}, last: ${lastReason}`])
  }
  return facts
}

function describeGop({ lastMs, maxMs }: NonNullable<SessionStatus['gop']>): string {
  const every = `every ${toSeconds(lastMs)} s`
  return maxMs >= lastMs * 1.5 ? `${every}, up to ${toSeconds(maxMs)} s` : every
}

function describeClock({ source, driftPpm }: NonNullable<SessionStatus['clock']>): string {
  const whose = source === 'sender-report' ? "the camera's" : 'by arrival'
  if (driftPpm === null) return whose
  const rounded = Math.round(driftPpm)
  return `${whose}, ${rounded > 0 ? '+' : ''}${rounded} ppm`
}

function describeTransport(transport: NonNullable<SessionStatus['transport']>): string {
  const { lower, packetsLost, packetsReceived, jitterMs } = transport
  const share = packetsLost / Math.max(1, packetsLost + packetsReceived)
  const lost = packetsLost === 0 ? 'nothing lost' : `${toPercent(share)} lost`
  return `${lower.toUpperCase()}, ${lost}, ${Math.round(jitterMs)} ms jitter`
}

function toPercent(share: number): string {
  const percent = share * 100
  return percent < 0.1 ? '<0.1 %' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`
}

function toSeconds(ms: number): string {
  return String(Math.round(ms / 100) / 10)
}
