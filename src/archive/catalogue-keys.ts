import type { StreamId } from '../domain/stream.ts'
import type { MetaKey, MetaRange } from '../platform/meta-store.ts'
import type { ChunkSpan, ClockName, TimeSpan } from './chunk-span.ts'
import type { GapMark } from './gap-mark.ts'

/** Where the catalogue's rows lie in the MetaStore: see {@link Catalogue}. */
export function chunkKey(streamId: StreamId, firstCounter: number): MetaKey {
  return ['archive', 'chunk', streamId, firstCounter]
}

export function openKey(streamId: StreamId, firstCounter: number): MetaKey {
  return ['archive', 'open', streamId, firstCounter]
}

export function removingKey(streamId: StreamId): MetaKey {
  return ['archive', 'removing', streamId]
}

export function timeKey(
  streamId: StreamId,
  by: ClockName,
  chunk: { readonly firstCounter: number; readonly span: ChunkSpan },
): MetaKey {
  const { from, to } = chunk.span[by]
  return ['archive', by, streamId, toLengthClass(to - from), toTimeKey(from), chunk.firstCounter]
}

export function gapPrefix(streamId: StreamId, by: ClockName): MetaKey {
  return ['archive', `gap-${by}`, streamId]
}

export function gapKeys(streamId: StreamId, mark: GapMark): readonly MetaKey[] {
  return (['server', 'producer'] as const).map((by) => {
    const { from, to } = mark[by]
    const key = [...gapPrefix(streamId, by), toLengthClass(to - from), toTimeKey(from)]
    // By one clock two may begin together: both beginnings tell them apart.
    return [...key, toTimeKey(mark[by === 'server' ? 'producer' : 'server'].from), mark.reason]
  })
}

/** Rows of a class that may reach into the span. */
export function toKeyRange(
  lengthClass: number,
  span: TimeSpan,
): Pick<MetaRange, 'from' | 'before'> {
  const from = Math.max(toTimeKey(span.from) - 2 ** lengthClass, 0)
  return { from: [from], before: [toTimeKey(span.to)] }
}

/** The smallest c with length <= 2^c. */
export function toLengthClass(length: number): number {
  let lengthClass = 0
  while (2 ** lengthClass < length) lengthClass++
  return lengthClass
}

/** Times are keyed from -2^51 ms, some 71,000 years before 1970, because keys are not negative. */
const KEY_EPOCH = 2 ** 51

/** Milliseconds that every producer or server timestamp stays within, on both sides of 1970. */
export const MAX_TIMESTAMP_MS = 2 ** 50

export function toTimeKey(ms: number): number {
  return Math.min(Math.max(ms, -MAX_TIMESTAMP_MS * 1.5), MAX_TIMESTAMP_MS * 1.5) + KEY_EPOCH
}

export function fromTimeKey(key: number): number {
  return key - KEY_EPOCH
}
