import { CODEC_AVC } from '../../../domain/track.ts'
import { toAvcRecord } from '../../../media/nal/avc-record.ts'
import {
  parseAvcPictureOrder,
  parseAvcPpsIds,
  parseAvcSliceStart,
  type AvcSliceStart,
} from '../../../media/nal/avc-slice.ts'
import { parseAvcSps, type AvcSps } from '../../../media/nal/avc-sps.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import type { AccessUnit } from './access-unit.ts'
import type { NalCodec, Picture, SplitResult } from './nal-depacketiser.ts'
import { MAX_PARAMETER_SET_BYTES, ParameterSets } from './parameter-sets.ts'
import { tryToParse } from './try-to-parse.ts'

const SLICE = 1
const IDR_SLICE = 5
const SEI = 6
const SPS = 7
const PPS = 8
const ACCESS_UNIT_DELIMITER = 9
const FILLER = 12
const STAP_A = 24
const FU_A = 28

/**
 * H.264 in RTP (RFC 6184), packetisation modes 0 and 1. Mode 2 (STAP-B, MTAP, FU-B) changes the order
 * of transmission and is not read.
 */
export class H264Codec implements NalCodec {
  readonly #sps = new ParameterSets<AvcSps>()
  readonly #pps = new ParameterSets<{ readonly spsId: number }>()
  readonly #clockRateHz: number
  #activeSps: number | null = null
  /** Parameter sets are not what the track was described with. */
  #isChanged = false
  #described: readonly Uint8Array[] | null = null
  #hasIdr = false
  readonly #order = new AvcOrder()

  constructor({ formatParameters, clockRateHz }: PayloadFormat) {
    this.#clockRateHz = clockRateHz
    // RFC 6184 §8.1: parameter sets in base64, with commas between.
    for (const text of (formatParameters.get('sprop-parameter-sets') ?? '').split(',')) {
      this.#keepParameterSet(Uint8Array.from(Buffer.from(text, 'base64')), false)
    }
  }

  isSlice(header: number): boolean {
    const type = header & 0x1f
    return type === SLICE || type === IDR_SLICE
  }

  split(payload: Uint8Array, into: AccessUnit): SplitResult {
    if (payload.length === 0) return 'ignored'
    const type = payload[0]! & 0x1f
    if (type === STAP_A) return splitStapA(payload, into)
    if (type === FU_A) return splitFuA(payload, into)
    if (type > 0 && type < STAP_A) {
      into.add(payload)
      return 'taken'
    }
    // V380 cameras put Annex B into RTP: the first byte is the start code's.
    if (payload[0] === 0 && payload[1] === 0) {
      into.add(payload)
      return 'taken'
    }
    return type === 0 || type > 29 ? 'ignored' : 'broken'
  }

  read(unit: AccessUnit): Picture | null {
    let first: { readonly slice: AvcSliceStart; readonly bytes: Uint8Array } | null = null
    let isIntra = true
    let hasIdr = false
    let recoversAtOnce = false
    for (const place of unit.units) {
      const bytes = unit.bytes(place)
      const type = bytes[0]! & 0x1f
      if (type === SPS || type === PPS) this.#keepParameterSet(bytes, true)
      else if (type === SEI) recoversAtOnce ||= isRecoveryPoint(bytes)
      else if (type === IDR_SLICE || type === SLICE) {
        const slice = tryToParse(() => parseAvcSliceStart(bytes))
        if (slice === null) continue
        first ??= { slice, bytes }
        isIntra &&= slice.type === 2 || slice.type === 4
        hasIdr ||= type === IDR_SLICE
      }
    }
    if (first === null) return null
    this.#hasIdr ||= hasIdr
    // A stream that never has an IDR picture begins at its recovery points (ITU-T H.264 §D.2.8).
    const isKey = hasIdr || (!this.#hasIdr && recoversAtOnce && isIntra)
    const pps = this.#pps.get(first.slice.ppsId)
    this.#useSps(pps?.parsed.spsId ?? null)
    const change = isKey || this.#described === null ? this.#takeChange() : null
    return {
      isKey,
      isWhole: first.slice.firstMb === 0,
      order: this.#orderOf(first.bytes),
      keep: unit.units.filter((place) => this.#isKept(unit.bytes(place))),
      change,
      isDescribed: this.#described !== null,
    }
  }

  #useSps(id: number | null): void {
    if (id === null || id === this.#activeSps || this.#sps.get(id) === undefined) return
    this.#activeSps = id
    this.#isChanged = true
  }

  #keepParameterSet(bytes: Uint8Array, isInBand: boolean): void {
    if (bytes.length < 2 || bytes.length > MAX_PARAMETER_SET_BYTES) return
    const type = bytes[0]! & 0x1f
    if (type === SPS) {
      const sps = tryToParse(() => parseAvcSps(bytes))
      if (sps !== null)
        this.#isChanged = this.#sps.put(sps.id, bytes, sps, isInBand) || this.#isChanged
    } else if (type === PPS) {
      const pps = tryToParse(() => parseAvcPpsIds(bytes))
      if (pps !== null)
        this.#isChanged = this.#pps.put(pps.id, bytes, pps, isInBand) || this.#isChanged
    }
  }

  #takeChange(): Picture['change'] {
    const active = this.#sps.pick(this.#activeSps)
    if (!this.#isChanged || active === undefined || this.#pps.size === 0) return null
    this.#isChanged = false
    const sps = this.#sps.inOrder(active.id)
    const pps = this.#pps.inOrder(null)
    this.#described = [...sps, ...pps]
    const { widthPx, heightPx, frameRate, reorderPictures, chroma } = active.parsed
    return {
      format: {
        kind: 'video',
        codecId: CODEC_AVC,
        codecPrivate: toAvcRecord(sps, pps, chroma),
        video: { widthPx, heightPx },
        audio: null,
      },
      ordering: {
        reorderPictures,
        // Rates that nobody films at are lies, and decode times must not be stretched by them.
        frameTicks:
          frameRate !== null && frameRate >= 1 && frameRate <= 1000
            ? this.#clockRateHz / frameRate
            : null,
      },
    }
  }

  #orderOf(slice: Uint8Array): Picture['order'] {
    const sps = this.#sps.pick(this.#activeSps)
    if (sps === undefined || sps.parsed.reorderPictures !== null) return null
    const { slices } = sps.parsed
    const lsb = tryToParse(() => parseAvcPictureOrder(slice, slices))
    return lsb === null ? null : this.#order.next(slice[0]!, lsb, slices.pictureOrderBits)
  }

  /** A decoder that has the track's parameter sets needs none of them again, and no padding. */
  #isKept(bytes: Uint8Array): boolean {
    const type = bytes[0]! & 0x1f
    if (type === ACCESS_UNIT_DELIMITER || type === FILLER || type === 0) return false
    if (type !== SPS && type !== PPS) return true
    return !(this.#described ?? []).some((known) => Buffer.compare(known, bytes) === 0)
  }
}

/** RFC 6184 §5.7.1: 16 bits of size before each NAL unit. */
function splitStapA(payload: Uint8Array, into: AccessUnit): SplitResult {
  let offset = 1
  while (offset + 2 <= payload.length) {
    const size = (payload[offset]! << 8) | payload[offset + 1]!
    offset += 2
    if (offset + size > payload.length) return 'broken'
    if (size > 0) into.add(payload.subarray(offset, offset + size))
    offset += size
  }
  return 'taken'
}

/** RFC 6184 §5.8: `| F NRI 28 | S E R type | ...`; Tiandy's later fragments name other types. */
function splitFuA(payload: Uint8Array, into: AccessUnit): SplitResult {
  if (payload.length < 2) return 'ignored'
  const isStart = (payload[1]! & 0x80) !== 0
  if (isStart) {
    into.begin()
    into.appendByte((payload[0]! & 0xe0) | (payload[1]! & 0x1f))
  } else if (!into.isOpen) {
    return payload.length === 2 ? 'ignored' : 'broken'
  }
  into.append(payload.subarray(2))
  if ((payload[1]! & 0x40) !== 0) into.end()
  return 'taken'
}

/** Whether an SEI message says that decoding may begin here: recovery_frame_cnt 0 (§D.1.8). */
function isRecoveryPoint(sei: Uint8Array): boolean {
  const RECOVERY_POINT = 6
  // Payload type and size of the first messages; none of those before it is long.
  for (let at = 1; at + 2 < sei.length;) {
    const type = sei[at]!
    const size = sei[at + 1]!
    if (type === RECOVERY_POINT) return (sei[at + 2]! & 0x80) !== 0 // ue(v) of 0 is a single 1
    if (type === 0xff || size === 0xff) return false
    at += 2 + size
  }
  return false
}

/** Picture order count of type 0 (ITU-T H.264 §8.2.1.1) from its lower bits. */
class AvcOrder {
  #msb = 0
  #lsb = 0

  next(header: number, lsb: number, bits: number): { count: number; isStart: boolean } {
    const isStart = (header & 0x1f) === IDR_SLICE
    const range = 2 ** bits
    if (isStart) this.#msb = this.#lsb = 0
    let msb = this.#msb
    if (lsb < this.#lsb && this.#lsb - lsb >= range / 2) msb += range
    else if (lsb > this.#lsb && lsb - this.#lsb > range / 2) msb -= range
    // Only pictures of reference carry the count on.
    if ((header & 0x60) !== 0) {
      this.#msb = msb
      this.#lsb = lsb
    }
    return { count: msb + lsb, isStart }
  }
}
