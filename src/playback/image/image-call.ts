import type { Track } from '../../domain/track.ts'
import type { CodedSample } from '../../platform/av.ts'
import type { ImageSize } from './image-size.ts'

/** How images are encoded. */
export type ImageStyle = {
  readonly format: 'jpeg' | 'png'
  readonly size: ImageSize
  /** Of JPEG, 1..100. */
  readonly quality: number
}

/** Images of one GOP, wanted from the worker thread. */
export type ImageCall = {
  readonly track: Track
  /** In decode order, from the key sample on, as far as is needed. */
  readonly samples: readonly (CodedSample & { readonly data: Uint8Array<ArrayBuffer> })[]
  /** Presentation times of the wanted frames, as their samples have them; rising, at least one. */
  readonly frames: readonly number[]
  readonly style: ImageStyle
  /** Of all images. The one that goes beyond it is made, and what is in work beside it. */
  readonly maxBytes: number
}

/** As many of the wanted images, in order, as `maxBytes` allow; `null`: it cannot be decoded. */
export type ImageAnswer = readonly (EncodedImage | null)[]

export type EncodedImage = { readonly bytes: Uint8Array; readonly frameMs: number }
