import type { RtpIntake } from '../rtp/rtp-intake.ts'
import type { TransportFacts } from '../session-info.ts'

/** The medias of a session together. @param intake `null` before media is taken */
export function toTransportFacts(
  lower: TransportFacts['lower'],
  intake: RtpIntake | null,
): TransportFacts {
  const medias = intake?.stats() ?? []
  return {
    lower,
    packetsReceived: medias.reduce((sum, { packets }) => sum + packets, 0),
    packetsLost: medias.reduce((sum, { lost }) => sum + lost, 0),
    jitterMs: Math.max(0, ...medias.map(({ jitterMs }) => jitterMs)),
  }
}
