import type { PlaybackMode, SessionRequest } from '../../../playback/index.ts'
import { integer, oneOf, structure, timestamp, type InputOf } from '../../aws/input-schema.ts'
import { selectorType, toClock } from '../archived/timestamp-range.ts'
import { invalid } from '../stream-reference.ts'

/** HLSFragmentSelector and DASHFragmentSelector. */
export const sessionSelector = structure({
  FragmentSelectorType: selectorType,
  TimestampRange: structure({ StartTimestamp: timestamp(), EndTimestamp: timestamp() }),
})

/** Members that both operations have. */
export const sessionMembers = {
  PlaybackMode: oneOf(['LIVE', 'LIVE_REPLAY', 'ON_DEMAND']),
  DisplayFragmentTimestamp: oneOf(['ALWAYS', 'NEVER']),
  Expires: integer({ min: 300, max: 43_200 }),
}

/** MaxMediaPlaylistFragmentResults and MaxManifestFragmentResults. */
export const maxFragmentResults = integer({ min: 1, max: 5000 })

export const DEFAULT_EXPIRES_S = 300
const MAX_RANGE_MS = 24 * 3_600_000

type Asked = {
  readonly mode: PlaybackMode
  readonly selector: InputOf<typeof sessionSelector> | undefined
  /** For messages. */
  readonly selectorName: string
  readonly maxFragments: number | undefined
  readonly now: number
}

/**
 * What a session lists, by the rules of HLSTimestampRange and DASHTimestampRange.
 *
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException`
 */
export function toSelection(
  asked: Asked,
): Pick<SessionRequest, 'mode' | 'clock' | 'range' | 'window'> {
  const { mode, selector, maxFragments } = asked
  return {
    mode,
    clock: toClock(selector?.FragmentSelectorType ?? 'SERVER_TIMESTAMP'),
    range: toRange(asked),
    window: {
      fragments: maxFragments ?? (mode === 'ON_DEMAND' ? 1000 : 5),
      bound: maxFragments === undefined ? 'usual' : 'asked',
    },
  }
}

function toRange({ mode, selector, selectorName, now }: Asked): SessionRequest['range'] {
  const { StartTimestamp: from, EndTimestamp: to } = selector?.TimestampRange ?? {}
  const name = `${selectorName}.TimestampRange`
  if (mode === 'LIVE') {
    if (selector?.TimestampRange === undefined) return null
    throw invalid(`The ${name} must not be specified when the PlaybackMode is LIVE.`)
  }
  if (from === undefined) {
    throw invalid(`The StartTimestamp of ${name} is required when the PlaybackMode is ${mode}.`)
  }
  if (to === undefined) {
    if (mode === 'LIVE_REPLAY') return { from, to: null }
    throw invalid(`The EndTimestamp of ${name} is required when the PlaybackMode is ON_DEMAND.`)
  }
  if (to <= from) {
    throw invalid(`The EndTimestamp of ${name} must be later than its StartTimestamp.`)
  }
  if (to - from > MAX_RANGE_MS) {
    throw invalid(`The EndTimestamp of ${name} must be within 24 hours of its StartTimestamp.`)
  }
  if (selector?.FragmentSelectorType !== 'PRODUCER_TIMESTAMP' && to > now) {
    throw invalid(
      `The EndTimestamp of ${name} must be in the past when the FragmentSelectorType is SERVER_TIMESTAMP.`,
    )
  }
  return { from, to }
}
