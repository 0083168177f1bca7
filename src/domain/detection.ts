import type { FragmentNumber } from './fragment.ts'
import type { EpochMs } from './time.ts'

/** Fractions of the picture, 0..1, from its top left corner. */
export type Box = {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** One box on one frame. */
export type Detection = {
  readonly label: string
  /** 0..1, as the model gives it. */
  readonly score: number
  readonly box: Box
}

/** What a model found on one decoded frame. */
export type FrameDetections = {
  readonly fragmentNumber: FragmentNumber
  /** Wall time at which the frame is presented, by the producer's clock. */
  readonly frameTimestamp: EpochMs
  readonly frame: { readonly widthPx: number; readonly heightPx: number }
  readonly detections: readonly Detection[]
}
