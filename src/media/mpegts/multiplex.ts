import { payloadCapacity, type TsPacket } from './packet-writer.ts'
import { TIMESTAMP_MODULUS, type PesUnit } from './pes-units.ts'

export type ElementaryStream = { readonly pid: number; readonly units: readonly PesUnit[] }

/**
 * How long before its decode time a unit is sent: the PCR's distance. A decoder buffers as much, and a
 * unit that is sent within a PCR interval arrives in time.
 */
export const PCR_LEAD_TICKS = 63_000 // 0.7 s
/** §2.7.2 allows 100 ms between PCRs. */
const PCR_INTERVAL_TICKS = 8_100

/**
 * The packets of the streams in order of sending: by decode time. The PCR is the first stream's; it
 * begins at that stream's first unit even where another's is earlier, so that it rises from one
 * segment to the next as that stream does.
 */
export function planPackets(streams: readonly ElementaryStream[]): readonly TsPacket[] {
  const [clockStream] = streams
  if (clockStream === undefined) return []
  const queue = streams
    .flatMap(({ pid, units }) =>
      units.map((unit, i) => ({ pid, unit, isLast: i === units.length - 1 })),
    )
    .sort((a, b) => a.unit.dts - b.unit.dts)
  if (queue.length === 0) return []

  const pcrPid = clockStream.pid
  const startsAt = (clockStream.units[0] ?? queue[0]!.unit).dts
  const startOf = ({ unit }: QueuedUnit) => Math.max(unit.dts, startsAt)
  // The clock's first unit leads.
  queue.sort(
    (a, b) => startOf(a) - startOf(b) || Number(b.pid === pcrPid) - Number(a.pid === pcrPid),
  )

  const packets: TsPacket[] = []
  const counts = new Map(streams.map(({ pid }) => [pid, 0]))
  let lastPcr: number | null = null
  const fillUntil = (dts: number) => {
    while (lastPcr !== null && lastPcr + PCR_INTERVAL_TICKS < dts) {
      lastPcr += PCR_INTERVAL_TICKS
      packets.push(toClockPacket(pcrPid, lastPcr, counts.get(pcrPid)!))
    }
  }
  for (const queued of queue) {
    const dts = startOf(queued)
    fillUntil(dts)
    const hasPcr = queued.pid === pcrPid
    if (lastPcr === null && !hasPcr) packets.push(toClockPacket(pcrPid, dts, 0))
    if (lastPcr === null || hasPcr) lastPcr = dts
    const unitPackets = toPackets(queued, hasPcr, counts.get(queued.pid)!)
    counts.set(queued.pid, counts.get(queued.pid)! + unitPackets.length)
    packets.push(...unitPackets)
  }
  fillUntil(clockStream.units.at(-1)?.end ?? startsAt)
  return packets
}

type QueuedUnit = { readonly pid: number; readonly unit: PesUnit; readonly isLast: boolean }

/**
 * A unit's packets, counted from `count` on. The last unit of a stream is cut into more than it needs,
 * until the stream's packets are a multiple of 16.
 */
function toPackets(
  { pid, unit, isLast }: QueuedUnit,
  hasPcr: boolean,
  count: number,
): readonly TsPacket[] {
  const first = {
    isDiscontinuous: false,
    isRandomAccess: unit.isKey,
    pcr: hasPcr ? toPcr(unit.dts) : null,
  }
  const capacity = payloadCapacity(first)
  const size = unit.bytes.length
  const needed = size <= capacity ? 1 : 1 + Math.ceil((size - capacity) / MIDDLE_CAPACITY)
  const wanted = isLast ? needed + ((16 - ((count + needed) % 16)) % 16) : needed
  const packets: TsPacket[] = []
  for (let at = 0, i = 0; i < wanted; i++) {
    // At least one byte is left for each packet behind it.
    const room = i === 0 ? capacity : MIDDLE_CAPACITY
    const end = at + Math.min(room, size - at - (wanted - 1 - i))
    packets.push({
      pid,
      isUnitStart: i === 0,
      counter: count + i,
      ...(i === 0 ? first : MIDDLE),
      payload: unit.bytes.subarray(at, end),
    })
    at = end
  }
  return packets
}

const MIDDLE = { isDiscontinuous: false, isRandomAccess: false, pcr: null }
const MIDDLE_CAPACITY = payloadCapacity(MIDDLE)

/** Time alone: its counter is that of the packet before, since it has no payload (§2.4.3.3). */
function toClockPacket(pid: number, dts: number, count: number): TsPacket {
  return {
    ...{ pid, isUnitStart: false, counter: count + 15, ...MIDDLE },
    pcr: toPcr(dts),
    payload: NOTHING,
  }
}

const NOTHING = new Uint8Array(0)

function toPcr(dts: number): number {
  return (dts - PCR_LEAD_TICKS + TIMESTAMP_MODULUS) % TIMESTAMP_MODULUS
}
