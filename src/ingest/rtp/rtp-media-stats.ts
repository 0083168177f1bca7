import type { EpochMs } from '../../domain/time.ts'

/** What one media of an RTP session has brought, for the API, the metrics and reports. */
export type RtpMediaStats = {
  readonly mediaIndex: number
  /** `null` before the source is settled. */
  readonly ssrc: number | null
  /** Of the source; those of others and of payload types that the SDP does not name are `refused`. */
  readonly packets: number
  /** Of the packets, RTP headers included. */
  readonly bytes: number
  readonly refused: number
  readonly lost: number
  /** Of what was expected, 0..1. */
  readonly lossFraction: number
  readonly reordered: number
  readonly duplicates: number
  readonly jitterMs: number
  readonly lastSenderReportAt: EpochMs | null
  /** Packets and payloads that could not be read. */
  readonly malformed: number
}
