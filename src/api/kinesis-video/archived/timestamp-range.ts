import type { SelectorClock } from '../../../playback/index.ts'
import { oneOf, required, structure, timestamp, type InputOf } from '../../aws/input-schema.ts'
import { invalid } from '../stream-reference.ts'

/** Of ListFragments, GetClip and GetImages: which of a fragment's two times is meant. */
export const selectorType = oneOf(['PRODUCER_TIMESTAMP', 'SERVER_TIMESTAMP'])

export type SelectorType = InputOf<typeof selectorType>

/** A FragmentSelector or ClipFragmentSelector. */
export const fragmentSelector = structure({
  FragmentSelectorType: required(selectorType),
  TimestampRange: required(
    structure({ StartTimestamp: required(timestamp()), EndTimestamp: required(timestamp()) }),
  ),
})

/** Fragments that begin in `from <= t <= to`; epoch milliseconds. */
export type InclusiveRange = {
  readonly by: SelectorClock
  readonly from: number
  readonly to: number
}

/** @throws ServiceError `invalid-argument`/`InvalidArgumentException` when it ends before it begins */
export function toInclusiveRange({
  FragmentSelectorType,
  TimestampRange: { StartTimestamp, EndTimestamp },
}: InputOf<typeof fragmentSelector>): InclusiveRange {
  if (EndTimestamp < StartTimestamp) {
    throw invalid('The EndTimestamp must not be earlier than the StartTimestamp.')
  }
  return { by: toClock(FragmentSelectorType), from: StartTimestamp, to: EndTimestamp }
}

export function toClock(type: SelectorType): SelectorClock {
  return type === 'PRODUCER_TIMESTAMP' ? 'producer' : 'server'
}
