import { annexBNalUnits, startsWithStartCode, type NalUnit } from '../../../media/nal/nal-units.ts'
import { UnitBuffer } from './unit-buffer.ts'

/** NAL units of one access unit, each behind its length in four bytes. */
export class AccessUnit {
  readonly #isSlice: (header: number) => boolean
  readonly #buffer = new UnitBuffer()
  #units: NalUnit[] = []
  #hasSlice = false
  /** Where the unit that is still growing begins; `null` when there is none. */
  #openAt: number | null = null

  /** @param isSlice by a NAL unit's first byte */
  constructor(isSlice: (header: number) => boolean) {
    this.#isSlice = isSlice
  }

  get units(): readonly NalUnit[] {
    return this.#units
  }

  /** Whether a picture's coded data is in it, be it not all. */
  get hasSlice(): boolean {
    return this.#hasSlice
  }

  /** In bytes, with what is still open. */
  get length(): number {
    return this.#buffer.length
  }

  get isOpen(): boolean {
    return this.#openAt !== null
  }

  get isOverfull(): boolean {
    return this.#buffer.isOverfull || this.#units.length >= MAX_UNITS
  }

  /** A whole NAL unit. */
  add(unit: Uint8Array): void {
    this.begin()
    this.append(unit)
    this.end()
  }

  /** The first bytes of a unit follow; one that is still open ends. */
  begin(): void {
    this.end()
    this.#openAt = this.#buffer.length
    for (let i = 0; i < LENGTH_BYTES; i++) this.#buffer.appendByte(0)
  }

  append(part: Uint8Array): void {
    this.#buffer.append(part)
  }

  appendByte(byte: number): void {
    this.#buffer.appendByte(byte)
  }

  /** Ends the open unit. One with start codes inside is several (ITU-T H.264 Annex B). */
  end(): void {
    const openAt = this.#openAt
    if (openAt === null) return
    this.#openAt = null
    const start = openAt + LENGTH_BYTES
    const bytes = this.#buffer.view(start)
    if (bytes.length === 0 || this.isOverfull) {
      this.#buffer.truncate(openAt)
    } else if (indexOfStartCode(bytes) < 0) {
      this.#finish(openAt)
    } else {
      this.#split(openAt, bytes.slice())
    }
  }

  /** Forgets the open unit: a part of it is missing. */
  abandonOpen(): void {
    if (this.#openAt === null) return
    this.#buffer.truncate(this.#openAt)
    this.#openAt = null
  }

  /** A view, valid until the next change. */
  bytes({ start, end }: NalUnit): Uint8Array {
    return this.#buffer.view(start, end)
  }

  /** These units and their lengths, in bytes of their own. */
  copy(units: readonly NalUnit[]): Uint8Array {
    if (units.length === this.#units.length) return this.#buffer.copy()
    const size = units.reduce((sum, { start, end }) => sum + LENGTH_BYTES + end - start, 0)
    const data = new Uint8Array(size)
    let at = 0
    for (const { start, end } of units) {
      data.set(this.#buffer.view(start - LENGTH_BYTES, end), at)
      at += LENGTH_BYTES + end - start
    }
    return data
  }

  clear(): void {
    this.#buffer.clear()
    this.#units = []
    this.#hasSlice = false
    this.#openAt = null
  }

  #finish(openAt: number): void {
    const start = openAt + LENGTH_BYTES
    const end = this.#buffer.length
    this.#buffer.setUint32(openAt, end - start)
    this.#units.push({ start, end })
    this.#hasSlice ||= this.#isSlice(this.#buffer.view(start)[0]!)
  }

  #split(openAt: number, bytes: Uint8Array): void {
    this.#buffer.truncate(openAt)
    const first = startsWithStartCode(bytes) ? 0 : indexOfStartCode(bytes)
    const before = first > 0 ? [{ start: 0, end: withoutTrailingZeros(bytes, first) }] : []
    for (const { start, end } of [...before, ...annexBNalUnits(bytes)]) {
      if (end === start || this.isOverfull) continue
      const at = this.#buffer.length
      for (let i = 0; i < LENGTH_BYTES; i++) this.#buffer.appendByte(0)
      this.#buffer.append(bytes.subarray(start, end))
      this.#finish(at)
    }
  }
}

const LENGTH_BYTES = 4
/** A picture of the highest levels has 600 slices. */
const MAX_UNITS = 4096
const START_CODE = Buffer.from([0, 0, 1])

function indexOfStartCode(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(START_CODE)
}

function withoutTrailingZeros(bytes: Uint8Array, limit: number): number {
  let end = limit
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}
