// A reader of transport streams, written from ISO/IEC 13818-1 apart from the writer, that throws at
// whatever a strict one could object to.

export type ReadStream = {
  readonly pid: number
  readonly type: number
  readonly units: readonly ReadUnit[]
  /** Continuity counter that the next packet must have. */
  readonly nextCounter: number
}

export type ReadUnit = {
  readonly pts: number
  readonly dts: number
  readonly isRandomAccess: boolean
  readonly data: Buffer
}

export type ReadTs = {
  readonly pcrPid: number
  /** Ticks at 90 kHz, in order of sending. */
  readonly pcrs: readonly number[]
  readonly streams: readonly ReadStream[]
}

/** @param bytes one segment, or several behind one another */
export function readTs(bytes: Uint8Array): ReadTs {
  if (bytes.length === 0 || bytes.length % 188 !== 0) throw new Error(`${bytes.length} bytes`)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const counters = new Map<number, number>()
  const pending = new Map<number, { parts: Buffer[]; isRandomAccess: boolean }>()
  const units = new Map<number, ReadUnit[]>()
  const pcrs: number[] = []
  let types = new Map<number, number>()
  let pmtPid = -1
  let pcrPid = -1
  let expectPat = true

  const endUnit = (pid: number) => {
    const open = pending.get(pid)
    pending.delete(pid)
    if (open === undefined) return
    const list = units.get(pid) ?? []
    list.push(readPes(Buffer.concat(open.parts), open.isRandomAccess))
    units.set(pid, list)
  }

  for (let at = 0; at < buffer.length; at += 188) {
    const fail = (what: string): never => {
      throw new Error(`${what} (packet ${at / 188})`)
    }
    if (buffer[at] !== 0x47) fail('no sync byte')
    if ((buffer[at + 1]! & 0xa0) !== 0) fail('error or priority bit')
    const isStart = (buffer[at + 1]! & 0x40) !== 0
    const pid = buffer.readUInt16BE(at + 1) & 0x1fff
    const control = (buffer[at + 3]! >> 4) & 3
    const counter = buffer[at + 3]! & 15
    if (buffer[at + 3]! >> 6 !== 0 || control === 0) fail('scrambled or reserved')
    let payloadAt = at + 4
    let flags = 0
    let pcr: number | null = null
    if ((control & 2) !== 0) {
      const length = buffer[at + 4]!
      payloadAt = at + 5 + length
      if (control === 2 ? length !== 183 : length > 182) fail(`adaptation field of ${length}`)
      flags = length === 0 ? 0 : buffer[at + 5]!
      if ((flags & 0x2f) !== 0) fail('a flag that we do not set')
      let stuffingAt = at + 6
      if ((flags & 0x10) !== 0) {
        if (length < 7) fail('no room for the PCR')
        pcr = buffer.readUInt32BE(at + 6) * 2 + (buffer[at + 10]! >> 7)
        if ((buffer[at + 10]! & 0x7f) !== 0x7e || buffer[at + 11] !== 0) fail('PCR extension')
        stuffingAt = at + 12
      }
      if (length > 0 && buffer.subarray(stuffingAt, payloadAt).some((byte) => byte !== 0xff)) {
        fail('stuffing')
      }
    }
    const hasPayload = (control & 1) !== 0
    const payload = buffer.subarray(payloadAt, at + 188)
    if (hasPayload && payload.length === 0) fail('a payload of nothing')
    if (isStart && !hasPayload) fail('a start without payload')

    const isDiscontinuous = (flags & 0x80) !== 0
    const last = counters.get(pid)
    if (last !== undefined && !isDiscontinuous) {
      const expected = hasPayload ? (last + 1) & 15 : last
      if (counter !== expected) fail(`PID ${pid} counts ${counter}, not ${expected}`)
    }
    counters.set(pid, counter)
    if (pcr !== null) {
      if (pid !== pcrPid) fail('PCR on another PID')
      pcrs.push(pcr)
    }

    if (pid === 0) {
      if (!expectPat && !isDiscontinuous) fail('PAT out of place')
      const section = readSection(payload, 0)
      if (section.content.length !== 4 || section.content.readUInt16BE(0) !== 1) fail('PAT')
      pmtPid = section.content.readUInt16BE(2) & 0x1fff
      expectPat = false
    } else if (pid === pmtPid) {
      const { content } = readSection(payload, 2)
      pcrPid = content.readUInt16BE(0) & 0x1fff
      types = readStreams(content)
    } else {
      if (!types.has(pid)) fail(`unknown PID ${pid}`)
      if (isDiscontinuous) fail('a discontinuity of media')
      if (isStart) endUnit(pid)
      if (isStart) pending.set(pid, { parts: [payload], isRandomAccess: (flags & 0x40) !== 0 })
      else if (hasPayload) (pending.get(pid) ?? fail('payload before a start')).parts.push(payload)
    }
  }
  for (const pid of [...pending.keys()]) endUnit(pid)
  const streams = [...types].map(([pid, type]) => ({
    pid,
    type,
    units: units.get(pid) ?? [],
    nextCounter: ((counters.get(pid) ?? 15) + 1) & 15,
  }))
  return { pcrPid, pcrs, streams }
}

function readSection(payload: Buffer, tableId: number): { content: Buffer } {
  const start = 1 + payload[0]!
  const length = payload.readUInt16BE(start + 1) & 0xfff
  const section = payload.subarray(start, start + 3 + length)
  if (section[0] !== tableId || payload.readUInt16BE(start + 1) >> 12 !== 0xb) {
    throw new Error('section head')
  }
  if (crcOf(section) !== 0) throw new Error('section CRC')
  if ((section[5]! & 0xc1) !== 0xc1 || section[6] !== 0 || section[7] !== 0) {
    throw new Error('section numbers')
  }
  if (payload.subarray(start + 3 + length).some((byte) => byte !== 0xff))
    throw new Error('stuffing')
  return { content: section.subarray(8, -4) }
}

function readStreams(content: Buffer): Map<number, number> {
  const types = new Map<number, number>()
  for (let at = 4 + (content.readUInt16BE(2) & 0xfff); at < content.length;) {
    types.set(content.readUInt16BE(at + 1) & 0x1fff, content[at]!)
    at += 5 + (content.readUInt16BE(at + 3) & 0xfff)
  }
  return types
}

/** Over a section with its CRC behind it: 0 when it is right. */
function crcOf(bytes: Buffer): number {
  let crc = 0xffff_ffffn
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const out = (crc >> 31n) ^ BigInt((byte >> bit) & 1)
      crc = ((crc << 1n) & 0xffff_ffffn) ^ (out === 1n ? 0x04c1_1db7n : 0n)
    }
  }
  return Number(crc)
}

function readPes(bytes: Buffer, isRandomAccess: boolean): ReadUnit {
  if (bytes.readUIntBE(0, 3) !== 1) throw new Error('no PES start code')
  const length = bytes.readUInt16BE(4)
  const isVideo = (bytes[3]! & 0xf0) === 0xe0
  if (length === 0 ? !isVideo : length !== bytes.length - 6) {
    throw new Error(`a PES packet of ${bytes.length} bytes says ${length}`)
  }
  if ((bytes[6]! & 0xc0) !== 0x80) throw new Error('PES marker')
  const hasDts = (bytes[7]! & 0xc0) === 0xc0
  const pts = readTimestamp(bytes.subarray(9, 14), hasDts ? 3 : 2)
  const dts = hasDts ? readTimestamp(bytes.subarray(14, 19), 1) : pts
  return { pts, dts, isRandomAccess, data: bytes.subarray(9 + bytes[8]!) }
}

function readTimestamp(bytes: Buffer, marker: number): number {
  const value = BigInt(bytes.readUIntBE(0, 5))
  if (Number(value >> 36n) !== marker) throw new Error('timestamp marker')
  if ((value & 1n) !== 1n || ((value >> 16n) & 1n) !== 1n || ((value >> 32n) & 1n) !== 1n) {
    throw new Error('marker bits')
  }
  const bits = (((value >> 33n) & 7n) << 30n) | (((value >> 17n) & 0x7fffn) << 15n)
  return Number(bits | ((value >> 1n) & 0x7fffn))
}
