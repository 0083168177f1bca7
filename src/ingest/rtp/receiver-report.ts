import type { ReceptionReport } from './receiver-statistics.ts'

/** The last sender report, for the sender to measure the round trip (RFC 3550 §6.4.1). */
export type LastSenderReport = {
  /** The middle 32 bits of its NTP timestamp. */
  readonly middleNtp: number
  /** Since it came, in 1/65536 s. */
  readonly delay: number
}

/** @param sinceMs since it came, by our clock; a step back of it counts as nothing */
export function toLastSenderReport(
  report: { readonly ntpSeconds: number; readonly ntpFraction: number },
  sinceMs: number,
): LastSenderReport {
  return {
    middleNtp: (((report.ntpSeconds & 0xffff) << 16) | (report.ntpFraction >>> 16)) >>> 0,
    delay: Math.min(0xffff_ffff, Math.max(0, Math.round((sinceMs * 65_536) / 1000))),
  }
}

/**
 * A compound packet of a receiver report with one block and an SDES with a CNAME: the least that
 * RFC 3550 §6.1 lets us send.
 *
 * ```
 * | 81 C9 0007 | our SSRC | their SSRC | fraction 8, lost 24 | highest | jitter | LSR | DLSR |
 * | 81 CA size | our SSRC | 01 length CNAME ... 00 (to a whole word) |
 * ```
 */
export function toReceiverReport(report: {
  readonly ssrc: number
  readonly cname: string
  readonly source: number
  readonly reception: ReceptionReport
  readonly lastSenderReport: LastSenderReport | null
}): Uint8Array {
  const { ssrc, source, reception, lastSenderReport } = report
  const cname = Buffer.from(report.cname)
  const descriptionWords = Math.ceil((4 + 4 + 2 + cname.length + 1) / 4)
  const bytes = new Uint8Array(REPORT_BYTES + descriptionWords * 4)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 0x81c9_0007)
  view.setUint32(4, ssrc)
  view.setUint32(8, source)
  view.setUint32(12, reception.cumulativeLost)
  view.setUint8(12, reception.fractionLost)
  view.setUint32(16, reception.extendedHighest)
  view.setUint32(20, reception.jitterTicks)
  view.setUint32(24, lastSenderReport?.middleNtp ?? 0)
  view.setUint32(28, lastSenderReport?.delay ?? 0)

  view.setUint32(REPORT_BYTES, 0x81ca_0000 | (descriptionWords - 1))
  view.setUint32(REPORT_BYTES + 4, ssrc)
  bytes[REPORT_BYTES + 8] = 1 // CNAME
  bytes[REPORT_BYTES + 9] = cname.length
  bytes.set(cname, REPORT_BYTES + 10)
  return bytes
}

const REPORT_BYTES = 32
