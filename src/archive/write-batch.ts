import { crc32 } from 'node:zlib'
import { abandonMark, closingRecord } from './chunk-layout.ts'
import type { FragmentRow } from './fragment-row.ts'
import {
  planClusterPatch,
  toFragmentRow,
  type OpenChunk,
  type OpenFragment,
  type Patch,
} from './open-fragment.ts'
import type { Numbering } from './stream-state.ts'
import type { GatheredBytes } from './write-memory.ts'

/** What a writer has queued, in the order in which it is to happen. */
export type Step =
  | { readonly kind: 'open' | 'finish'; readonly chunk: OpenChunk }
  | FragmentStep
  | { readonly kind: 'abandon'; readonly chunk: OpenChunk; readonly fragment: OpenFragment }

/** What is appended to a fragment while its last step waits is gathered in that step. */
type FragmentStep = {
  readonly kind: 'data' | 'end'
  readonly chunk: OpenChunk
  readonly fragment: OpenFragment
  readonly bytes: GatheredBytes
}

/** Steps of one chunk that one write call carries out. */
export type WriteBatch = {
  readonly parts: Uint8Array[]
  readonly patches: Patch[]
  /** Fragments that it completes, with their rows. */
  readonly ended: { readonly fragment: OpenFragment; readonly row: FragmentRow }[]
  byteLength: number
  /** Of `byteLength`, what callers had queued. */
  queuedBytes: number
}

/**
 * Lays the steps' bytes out behind each other and numbers the fragments that end among them.
 * Fragments learn their place here, because only now is it known what lies before them.
 *
 * @param position where in the chunk the batch begins
 */
export function planBatch(
  steps: readonly Step[],
  position: number,
  numbering: Numbering,
): WriteBatch {
  const batch: WriteBatch = { parts: [], patches: [], ended: [], byteLength: 0, queuedBytes: 0 }
  let { sequence, discontinuitySequence, lastCounter } = numbering
  const put = (part: Uint8Array) => {
    batch.parts.push(part)
    batch.byteLength += part.length
  }
  const patchCluster = (fragment: OpenFragment) => {
    const patch = planClusterPatch(fragment, position + batch.byteLength)
    if (patch === null) return
    batch.patches.push(patch)
    fragment.checksum = null
  }

  for (const step of steps) {
    if (!('fragment' in step)) continue
    const { fragment } = step
    if (!fragment.written) fragment.offset = position + batch.byteLength
    fragment.written = true
    if (step.kind !== 'data') patchCluster(fragment)
    if (!('bytes' in step)) {
      put(abandonMark())
      continue
    }
    for (const part of step.bytes.parts) {
      put(part)
      if (fragment.checksum !== null) fragment.checksum = crc32(part, fragment.checksum)
    }
    batch.queuedBytes += step.bytes.byteLength
    if (step.kind === 'data') continue

    // Counters have no gap unless a fragment was lost, and then media time has one.
    const followsLoss = lastCounter > 0 && fragment.counter !== lastCounter + 1
    const discontinuity = fragment.start.discontinuity || followsLoss
    if (discontinuity) discontinuitySequence++
    const length = position + batch.byteLength - fragment.offset
    const row = toFragmentRow(fragment, { length, sequence, discontinuity, discontinuitySequence })
    put(closingRecord(row))
    batch.ended.push({ fragment, row })
    sequence++
    lastCounter = fragment.counter
  }
  return batch
}
