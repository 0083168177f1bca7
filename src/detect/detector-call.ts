import type { FragmentToDetect } from './detector.ts'
import type { Model } from './manifest.ts'

/** What a detector's worker thread is started with. */
export type DetectorWorkerData = {
  readonly model: Model
  readonly framesPerSecond: number
  readonly minScore?: number
  readonly labels?: readonly string[]
}

/** `open` only reports whether the model could be opened. */
export type DetectorCall =
  { readonly type: 'open' } | { readonly type: 'detect'; readonly fragment: FragmentInThread }

/** The tracks say what the header says. */
export type FragmentInThread = Omit<FragmentToDetect, 'header'>
