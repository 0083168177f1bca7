/**
 * What to do with a sample: the rules by which a session's media is cut into fragments. Pure, so
 * that each rule is a row of a test.
 *
 * - A cut point is a key sample of video, or any sample where there is no video.
 * - `begin` ends the open fragment, if there is one, and starts another with this sample.
 * - `hold` keeps a sample of another track than video for the next fragment, behind its first
 *   sample: the open one's header does not describe it, or there is none open.
 */
export type SamplePlan = 'append' | 'begin' | 'hold' | 'drop'

export type SampleSituation = {
  /** Of the one track that fragments are cut by. */
  readonly isVideo: boolean
  readonly isKey: boolean
  readonly sessionHasVideo: boolean
  /** `null` when there is none. */
  readonly open: OpenFragmentSituation | null
  /** After a jump of media time: go on even without a key sample, as recording must. */
  readonly resumeAnywhere: boolean
  /** Decode time since the first sample that found no fragment open. */
  readonly waitedMs: number
  readonly fragmentTargetMs: number
  readonly maxFragmentMs: number
}

export type OpenFragmentSituation = {
  /** Decode time since its first sample. */
  readonly ageMs: number
  readonly startsWithKey: boolean
  /** Its header has this sample's parameter sets. */
  readonly describesTrack: boolean
  /** Its header has those of all tracks. */
  readonly describesAll: boolean
}

/**
 * Timestamps in whole milliseconds make a GOP of exactly the target up to a millisecond short at
 * either end; such a GOP is not made to wait for the next one.
 */
const ROUNDING_MS = 5

export function isCutPoint(
  s: Pick<SampleSituation, 'isVideo' | 'isKey' | 'sessionHasVideo'>,
): boolean {
  return s.sessionHasVideo ? s.isVideo && s.isKey : true
}

export function planSample(s: SampleSituation): SamplePlan {
  const cutPoint = isCutPoint(s)
  const { open } = s
  if (open === null) {
    if (cutPoint || (s.resumeAnywhere && s.isVideo)) return 'begin'
    // Video that never has a key sample, as with intra refresh, or never comes: better than nothing.
    if (s.waitedMs >= s.maxFragmentMs) return 'begin'
    return s.isVideo ? 'drop' : 'hold'
  }
  const due = open.ageMs + ROUNDING_MS >= s.fragmentTargetMs
  if (cutPoint && (due || !open.describesAll || !open.startsWithKey)) return 'begin'
  // Pictures after new parameter sets are of no use before their key sample.
  if (!open.describesTrack && s.isVideo) return 'drop'
  if (open.ageMs >= s.maxFragmentMs) return 'begin'
  return open.describesTrack ? 'append' : 'hold'
}
