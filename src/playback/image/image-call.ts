import type { Track } from '../../domain/track.ts'
import type { CodedSample } from '../../platform/av.ts'

/** One image wanted from the worker thread. */
export type ImageCall = {
  readonly track: Track
  /** One GOP in decode order. */
  readonly samples: readonly (CodedSample & { readonly data: Uint8Array<ArrayBuffer> })[]
  /** Presentation time of the wanted frame, as its sample has it. */
  readonly frameMs: number
  readonly format: 'jpeg' | 'png'
  /** `null`: as wide as the frame. */
  readonly widthPx: number | null
  readonly quality: number
}

export type EncodedImage = { readonly bytes: Uint8Array; readonly frameMs: number }
