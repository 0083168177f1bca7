import type { NalUnit } from '../../../media/nal/nal-units.ts'
import { DecodeTimes, type PictureOrder, type PictureOrdering } from '../decode-times.ts'
import { AccessUnit } from './access-unit.ts'
import type {
  Depacketiser,
  DropReason,
  MediaPacket,
  TrackFormat,
  UnitSink,
} from './depacketiser.ts'

/** What differs between H.264 and H.265. */
export interface NalCodec {
  isSlice(header: number): boolean
  /** Adds a payload's NAL units. */
  split(payload: Uint8Array, into: AccessUnit): SplitResult
  /** Reads what an access unit holds and keeps its parameter sets; `null` where it has no picture. */
  read(unit: AccessUnit): Picture | null
}

/** `broken`: something of the access unit is missing or cannot be read; `ignored`: nothing is. */
export type SplitResult = 'taken' | 'ignored' | 'broken'

export type Picture = {
  readonly isKey: boolean
  /** Its first slice is there. */
  readonly isWhole: boolean
  readonly order: PictureOrder | null
  /** What goes into the sample: everything but what the track's format says already. */
  readonly keep: readonly NalUnit[]
  /** In force from this picture on; `null` when nothing changed. */
  readonly change: { readonly format: TrackFormat; readonly ordering: PictureOrdering } | null
  /** There are parameter sets for it. */
  readonly isDescribed: boolean
}

/**
 * Puts access units together from NAL units in RTP packets (RFC 6184 §7, RFC 7798 §6).
 *
 * 1. An access unit ends with the marker, or where the timestamp changes: some cameras set the
 *    marker never. One without a slice does not end: others set it on SEI, or give parameter sets a
 *    timestamp of their own.
 * 2. A picture that goes on with the same timestamp after its marker shows that the marker cannot be
 *    believed; from then on only the timestamp counts.
 * 3. What was damaged by a loss is left out, and only that: an access unit in which packets are
 *    missing, or the first one behind a gap if it does not begin with its first slice.
 */
export class NalDepacketiser implements Depacketiser {
  readonly #sink: UnitSink
  readonly #codec: NalCodec
  readonly #unit: AccessUnit
  readonly #times = new DecodeTimes()
  #ticks = 0
  #arrivedAt: MediaPacket['arrivedAt'] | null = null
  /** Why the access unit cannot be given out. */
  #damage: DropReason | null = null
  #beginsAfterLoss = false
  #hasLost = false
  #trustsMarker = true
  #lastTicks: number | null = null
  /** Read, but not described yet. */
  #change: Picture['change'] = null

  constructor(sink: UnitSink, codec: NalCodec) {
    this.#sink = sink
    this.#codec = codec
    this.#unit = new AccessUnit((header) => codec.isSlice(header))
  }

  take(packet: MediaPacket): void {
    if (packet.ticks !== this.#ticks && this.#arrivedAt !== null) {
      this.#unit.end()
      if (this.#isDone() || this.#unit.length > MAX_PREFIX_BYTES) this.#close()
    }
    if (this.#arrivedAt === null) {
      this.#arrivedAt = packet.arrivedAt
      this.#beginsAfterLoss = this.#hasLost
    }
    const result = this.#codec.split(packet.payload, this.#unit)
    // Behind a gap a unit's middle is no fault of the sender's.
    const isCut = this.#hasLost || this.#beginsAfterLoss || this.#damage === 'packet-loss'
    if (result !== 'taken' && !isCut) this.#sink.countMalformed()
    if (result === 'broken') this.#damage ??= isCut ? 'packet-loss' : 'malformed-sample'
    this.#hasLost = false
    this.#ticks = packet.ticks
    if (!packet.marker || !this.#trustsMarker) return
    this.#unit.end()
    if (this.#isDone()) this.#close()
  }

  lose(): void {
    this.#hasLost = true
    if (this.#arrivedAt === null) return
    // Where only whole parameter sets and the like have come, the picture may still be whole.
    if (this.#unit.hasSlice || this.#unit.isOpen) this.#damage = 'packet-loss'
    else this.#beginsAfterLoss = true
    this.#unit.abandonOpen()
  }

  flush(): void {
    this.#unit.end()
    if (this.#unit.hasSlice) this.#close()
  }

  /** Whether an end of the access unit can be believed. */
  #isDone(): boolean {
    return this.#unit.hasSlice || this.#unit.isOverfull || this.#damage !== null
  }

  #close(): void {
    const picture = this.#codec.read(this.#unit)
    // A picture that is left out may have brought the parameter sets of those behind it.
    this.#change = picture?.change ?? this.#change
    this.#finish(picture)
    this.#unit.clear()
    this.#arrivedAt = null
    this.#damage = null
    if (picture !== null) this.#lastTicks = this.#ticks
  }

  #finish(picture: Picture | null): void {
    const lacksStart = picture !== null && !picture.isWhole
    const goesOn = picture !== null && this.#ticks === this.#lastTicks
    if (goesOn) this.#trustsMarker = false
    if (this.#damage !== null) {
      this.#sink.drop(this.#damage)
    } else if (lacksStart && this.#beginsAfterLoss) {
      this.#sink.drop('packet-loss')
    } else if (this.#unit.isOverfull) {
      this.#sink.drop('sample-too-large')
    } else if (goesOn && lacksStart) {
      this.#sink.drop('malformed-sample') // the rest of a picture that was given out too early
    } else if (picture !== null) {
      this.#write(picture)
    }
  }

  #write(picture: Picture): void {
    if (this.#change !== null) {
      this.#times.configure(this.#change.ordering)
      this.#sink.describe(this.#change.format)
      this.#change = null
    }
    if (!picture.isDescribed) {
      this.#sink.drop('no-parameter-sets')
      return
    }
    // The second field of a frame may have its first one's time.
    const pts = this.#ticks === this.#lastTicks ? this.#ticks + 1 : this.#ticks
    if (this.#lastTicks !== null && Math.abs(pts - this.#lastTicks) > MAX_STEP_TICKS) {
      this.#times.reset()
    }
    this.#sink.write({
      pts,
      dts: this.#times.next(pts, picture.order),
      isKey: picture.isKey,
      data: this.#unit.copy(picture.keep),
      arrivedAt: this.#arrivedAt!,
    })
  }
}

/** Of what may come before a slice under timestamps of its own. */
const MAX_PREFIX_BYTES = 64 * 1024

/** 10 s of the 90 kHz clock that both formats prescribe: the media time jumped. */
const MAX_STEP_TICKS = 900_000
