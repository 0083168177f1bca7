/**
 * Writes transport packets behind one another (ISO/IEC 13818-1 §2.4.3):
 *
 * ```
 *  0     1                    3                          4
 * | 47 | 0 | start | 0 | PID 13 | 00 | adaptation 2 | cc 4 | [adaptation field] | [payload] |
 *
 * adaptation field: | length 8 | discontinuity random . PCR ..... | [PCR 48] | stuffing FF.. |
 * ```
 */
export class PacketWriter {
  readonly #bytes: Uint8Array
  #at = 0

  /** @param bytes as many as all packets take */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  write(packet: TsPacket): void {
    const bytes = this.#bytes
    const at = this.#at
    const end = at + PACKET_BYTES
    const payloadAt = end - packet.payload.length
    const hasPayload = packet.payload.length > 0
    const hasAdaptation = payloadAt > at + HEADER_BYTES
    bytes[at] = 0x47
    bytes[at + 1] = (packet.isUnitStart ? 0x40 : 0) | (packet.pid >> 8)
    bytes[at + 2] = packet.pid & 0xff
    bytes[at + 3] = (hasAdaptation ? 0x20 : 0) | (hasPayload ? 0x10 : 0) | (packet.counter & 0x0f)
    if (hasAdaptation) this.#writeAdaptation(packet, at + HEADER_BYTES, payloadAt)
    bytes.set(packet.payload, payloadAt)
    this.#at = end
  }

  #writeAdaptation(packet: TsPacket, start: number, end: number): void {
    const bytes = this.#bytes
    bytes[start] = end - start - 1
    if (end === start + 1) return // one byte of stuffing: a length of 0
    bytes[start + 1] =
      (packet.isDiscontinuous ? 0x80 : 0) |
      (packet.isRandomAccess ? 0x40 : 0) |
      (packet.pcr === null ? 0 : 0x10)
    if (packet.pcr !== null) writePcr(bytes, start + 2, packet.pcr)
    bytes.fill(0xff, start + (packet.pcr === null ? 2 : 2 + PCR_BYTES), end)
  }
}

export type TsPacket = {
  readonly pid: number
  /** The payload begins with a PES packet or a pointer to a section. */
  readonly isUnitStart: boolean
  /** Continuity counter, modulo 16; without payload, that of the packet before. */
  readonly counter: number
  readonly isDiscontinuous: boolean
  readonly isRandomAccess: boolean
  /** Ticks at 90 kHz, 0 <= pcr < 2^33. */
  readonly pcr: number | null
  /** At most {@link payloadCapacity}; what is missing is stuffed. */
  readonly payload: Uint8Array
}

export const PACKET_BYTES = 188
const HEADER_BYTES = 4
const PCR_BYTES = 6
const MAX_PAYLOAD_BYTES = PACKET_BYTES - HEADER_BYTES

/** How much payload a packet takes beside what else it says. */
export function payloadCapacity(
  packet: Pick<TsPacket, 'isDiscontinuous' | 'isRandomAccess' | 'pcr'>,
): number {
  if (packet.pcr !== null) return MAX_PAYLOAD_BYTES - 2 - PCR_BYTES
  return packet.isDiscontinuous || packet.isRandomAccess ? MAX_PAYLOAD_BYTES - 2 : MAX_PAYLOAD_BYTES
}

/** §2.4.3.5: base 33, reserved 6 ones, extension 9 (27 MHz, always 0 here). */
function writePcr(bytes: Uint8Array, at: number, pcr: number): void {
  const high = Math.floor(pcr / 2) // 32 bits
  bytes[at] = (high >>> 24) & 0xff
  bytes[at + 1] = (high >>> 16) & 0xff
  bytes[at + 2] = (high >>> 8) & 0xff
  bytes[at + 3] = high & 0xff
  bytes[at + 4] = ((pcr & 1) << 7) | 0x7e
  bytes[at + 5] = 0
}
