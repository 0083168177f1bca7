import type { AudioSource } from '../../platform/av.ts'

/** One fragment's sound wanted as AAC from the worker thread. */
export type SoundCall = {
  readonly source: AudioSource
  /** Of the AAC. */
  readonly sampleRateHz: number
  /** Consecutive fragments in order; the last is wanted, those before it lead to it. */
  readonly fragments: readonly (readonly SoundBlock[])[]
}

/** One stored sample. */
export type SoundBlock = {
  /** Wall time. */
  readonly ptsMs: number
  readonly data: Uint8Array<ArrayBuffer>
}

/** Raw data blocks of {@link AAC_FRAME_TICKS} each, without a hole. */
export type AacSound = {
  /** Of the first, in ticks of the AAC's rate since 1970. */
  readonly baseDecodeTime: number
  readonly blocks: readonly Uint8Array[]
}

/** Samples in a raw data block (ISO/IEC 14496-3 §4.5.1.1). */
export const AAC_FRAME_TICKS = 1024
