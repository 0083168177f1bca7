import { CODEC_HEVC } from '../../../domain/track.ts'
import { toHevcRecord } from '../../../media/nal/hevc-record.ts'
import {
  hevcNalType,
  isHevcRandomAccess,
  parseHevcPpsIds,
  parseHevcSliceStart,
} from '../../../media/nal/hevc-slice.ts'
import { parseHevcSps, type HevcSps } from '../../../media/nal/hevc-sps.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import type { AccessUnit } from './access-unit.ts'
import type { NalCodec, Picture, SplitResult } from './nal-depacketiser.ts'
import { MAX_PARAMETER_SET_BYTES, ParameterSets } from './parameter-sets.ts'
import { tryToParse } from './try-to-parse.ts'

const LAST_SLICE_TYPE = 31
const VPS = 32
const SPS = 33
const PPS = 34
const ACCESS_UNIT_DELIMITER = 35
const FILLER = 38
const AGGREGATION = 48
const FRAGMENTATION = 49
const HEADER_BYTES = 2
const DONL_BYTES = 2

/**
 * H.265 in RTP (RFC 7798): single NAL units, aggregation packets, fragmentation units. Decoding order
 * numbers are passed over: nobody interleaves.
 */
export class H265Codec implements NalCodec {
  readonly #vps = new ParameterSets<null>()
  readonly #sps = new ParameterSets<HevcSps>()
  readonly #pps = new ParameterSets<{ readonly spsId: number }>()
  readonly #hasDonl: boolean
  #activeSps: number | null = null
  #isChanged = false
  #described: readonly Uint8Array[] | null = null

  constructor({ formatParameters }: PayloadFormat) {
    // RFC 7798 §7.1: only then are there DONL fields.
    this.#hasDonl = Number(formatParameters.get('sprop-max-don-diff') ?? 0) > 0
    for (const name of ['sprop-vps', 'sprop-sps', 'sprop-pps']) {
      for (const text of (formatParameters.get(name) ?? '').split(',')) {
        this.#keepParameterSet(Uint8Array.from(Buffer.from(text, 'base64')), false)
      }
    }
  }

  isSlice(header: number): boolean {
    return hevcNalType(header) <= LAST_SLICE_TYPE
  }

  split(payload: Uint8Array, into: AccessUnit): SplitResult {
    if (payload.length <= HEADER_BYTES) return 'ignored'
    // Annex B in RTP, as with H.264; a NAL unit of type 0 and layer 0 has a temporal id of 1 at least.
    if (payload[0] === 0 && payload[1] === 0) {
      into.add(payload)
      return 'taken'
    }
    const type = hevcNalType(payload[0]!)
    if (type === AGGREGATION) return this.#splitAggregation(payload, into)
    if (type === FRAGMENTATION) return this.#splitFragment(payload, into)
    if (type > FRAGMENTATION) return 'ignored' // PACI and what is not specified
    into.begin()
    into.append(payload.subarray(0, HEADER_BYTES))
    into.append(payload.subarray(HEADER_BYTES + (this.#hasDonl ? DONL_BYTES : 0)))
    into.end()
    return 'taken'
  }

  read(unit: AccessUnit): Picture | null {
    let first: { isFirst: boolean; ppsId: number; type: number } | null = null
    for (const place of unit.units) {
      const bytes = unit.bytes(place)
      const type = hevcNalType(bytes[0]!)
      if (type >= VPS && type <= PPS) this.#keepParameterSet(bytes, true)
      else if (type <= LAST_SLICE_TYPE && first === null) {
        const slice = tryToParse(() => parseHevcSliceStart(bytes))
        if (slice !== null) first = { ...slice, type }
      }
    }
    if (first === null) return null
    const isKey = isHevcRandomAccess(first.type)
    this.#useSps(this.#pps.get(first.ppsId)?.parsed.spsId ?? null)
    const change = isKey || this.#described === null ? this.#takeChange() : null
    return {
      isKey,
      isWhole: first.isFirst,
      order: null, // the SPS says how much is reordered
      keep: unit.units.filter((place) => this.#isKept(unit.bytes(place))),
      change,
      isDescribed: this.#described !== null,
    }
  }

  /** RFC 7798 §4.4.2: `| header 16 | [DONL 16] | size 16, NAL unit | [DOND 8] size 16, NAL unit | ...` */
  #splitAggregation(payload: Uint8Array, into: AccessUnit): SplitResult {
    let offset = HEADER_BYTES + (this.#hasDonl ? DONL_BYTES : 0)
    while (offset + 2 <= payload.length) {
      const size = (payload[offset]! << 8) | payload[offset + 1]!
      offset += 2
      if (offset + size > payload.length) return 'broken'
      if (size > 0) into.add(payload.subarray(offset, offset + size))
      offset += size + (this.#hasDonl ? 1 : 0)
    }
    return 'taken'
  }

  /** RFC 7798 §4.4.3: `| header 16, type 49 | S E type 6 | [DONL 16, of the first] | ...` */
  #splitFragment(payload: Uint8Array, into: AccessUnit): SplitResult {
    const flags = payload[HEADER_BYTES]!
    const isStart = (flags & 0x80) !== 0
    if (isStart) {
      into.begin()
      into.append(Uint8Array.of((payload[0]! & 0x81) | ((flags & 0x3f) << 1), payload[1]!))
    } else if (!into.isOpen) {
      return payload.length === HEADER_BYTES + 1 ? 'ignored' : 'broken'
    }
    into.append(payload.subarray(HEADER_BYTES + 1 + (isStart && this.#hasDonl ? DONL_BYTES : 0)))
    if ((flags & 0x40) !== 0) into.end()
    return 'taken'
  }

  #useSps(id: number | null): void {
    if (id === null || id === this.#activeSps || this.#sps.get(id) === undefined) return
    this.#activeSps = id
    this.#isChanged = true
  }

  #keepParameterSet(bytes: Uint8Array, isInBand: boolean): void {
    if (bytes.length < 3 || bytes.length > MAX_PARAMETER_SET_BYTES) return
    const isNew = this.#put(hevcNalType(bytes[0]!), bytes, isInBand)
    this.#isChanged = isNew || this.#isChanged
  }

  #put(type: number, bytes: Uint8Array, isInBand: boolean): boolean {
    if (type === VPS) return this.#vps.put(bytes[HEADER_BYTES]! >> 4, bytes, null, isInBand)
    if (type === SPS) {
      const sps = tryToParse(() => parseHevcSps(bytes))
      return sps !== null && this.#sps.put(sps.id, bytes, sps, isInBand)
    }
    if (type !== PPS) return false
    const pps = tryToParse(() => parseHevcPpsIds(bytes))
    return pps !== null && this.#pps.put(pps.id, bytes, pps, isInBand)
  }

  #takeChange(): Picture['change'] {
    const active = this.#sps.pick(this.#activeSps)
    if (!this.#isChanged || active === undefined || this.#pps.size === 0) return null
    this.#isChanged = false
    const sets = [
      { type: VPS, units: this.#vps.inOrder(null) },
      { type: SPS, units: this.#sps.inOrder(active.id) },
      { type: PPS, units: this.#pps.inOrder(null) },
    ]
    this.#described = sets.flatMap(({ units }) => units)
    const { widthPx, heightPx, reorderPictures } = active.parsed
    return {
      format: {
        kind: 'video',
        codecId: CODEC_HEVC,
        codecPrivate: toHevcRecord(sets, active.parsed),
        video: { widthPx, heightPx },
        audio: null,
      },
      ordering: { reorderPictures, frameTicks: null },
    }
  }

  /** A decoder that has the track's parameter sets needs none of them again, and no padding. */
  #isKept(bytes: Uint8Array): boolean {
    const type = hevcNalType(bytes[0]!)
    if (type === ACCESS_UNIT_DELIMITER || type === FILLER) return false
    if (type < VPS || type > PPS) return true
    return !(this.#described ?? []).some((known) => Buffer.compare(known, bytes) === 0)
  }
}
