import { epochMs } from '../domain/time.ts'
import type { CoverageGap, CoveredSpan, GapReason } from './archive.ts'
import { JOINED_WITHIN_MS, type ClockName, type ClockRange, type TimeSpan } from './chunk-span.ts'
import type { GapRecord } from './gap-mark.ts'

/** A stretch of media without a gap: a fragment, or a chunk of them. */
export type Piece = TimeSpan & { readonly fragments: number; readonly bytes: number }

/** A gap that nobody has explained yet, between two pieces, or at an end of the range. */
export type BareGap = TimeSpan & { readonly before: Piece | null; readonly after: Piece | null }

/**
 * Joins pieces and finds what lies between them in the range. Spans and gaps are cut at its ends and
 * follow each other without a hole.
 *
 * @param pieces that overlap the range, in any order
 */
export function joinPieces(
  pieces: readonly Piece[],
  { by, from, to }: ClockRange,
): { readonly spans: readonly CoveredSpan[]; readonly gaps: readonly BareGap[] } {
  const spans: CoveredSpan[] = []
  const gaps: BareGap[] = []
  /** The piece that reaches furthest so far. */
  let last: Piece | null = null
  let span = { from, fragments: 0, bytes: 0 }
  const close = (end: number) => spans.push(toSpan(span, end))
  for (const piece of pieces.toSorted((a, b) => a.from - b.from)) {
    const end: number = last?.to ?? from
    const isJoined = last !== null && piece.from - end <= JOINED_WITHIN_MS[by]
    if (!isJoined) {
      if (last !== null) close(end)
      const begins = Math.max(piece.from, from)
      if (begins > end) gaps.push({ from: end, to: begins, before: last, after: piece })
      span = { from: begins, fragments: 0, bytes: 0 }
    }
    span.fragments += piece.fragments
    span.bytes += piece.bytes
    if (last === null || piece.to > last.to) last = piece
  }
  const end: number = last?.to ?? from
  if (last !== null) close(Math.min(end, to))
  if (end < to) gaps.push({ from: end, to, before: last, after: null })
  return { spans, gaps }
}

/** Unexplained stretches up to this long go with the one beside them. */
const SLIVER_MS = 1500

/**
 * Says why, from what was noted. A gap is cut where its reason changes.
 *
 * @param cutoff what is not after it is past the retention
 * @param unexplained what the fragments around the gap say
 */
export function explainGap(
  gap: TimeSpan,
  options: {
    readonly by: ClockName
    readonly notes: GapRecord
    readonly cutoff: number
    readonly unexplained: Explanation
  },
): readonly CoverageGap[] {
  const { by, notes, cutoff, unexplained } = options
  const claims = toClaims(notes, by).filter(({ from, to }) => from < gap.to && to > gap.from)
  const expired: Claim = { reason: 'expired', from: -Infinity, to: cutoff + 1 }
  const bounds = [gap, expired, ...claims].flatMap(({ from, to }) => [from, to])
  const cuts = [...new Set(bounds)].filter((at) => at >= gap.from && at <= gap.to)
  cuts.sort((a, b) => a - b)
  let parts: ExplainedPart[] = []
  for (const [i, from] of cuts.slice(0, -1).entries()) {
    const to = cuts[i + 1]!
    const holding = [expired, ...claims].filter((claim) => claim.from <= from && claim.to >= to)
    // Past the retention nothing else is known for sure; then the narrowest says most.
    const [best] = holding.sort((a, b) => rank(a) - rank(b))
    parts = withPart(parts, { from, to, claim: best ?? null })
  }
  return absorbSlivers(parts).map(({ from, to, claim }) => {
    const { reason, detail } = claim ?? unexplained
    return {
      ...{ from: epochMs(from), to: epochMs(to), reason },
      ...(detail === undefined ? {} : { detail }),
    }
  })
}

export type Explanation = { readonly reason: GapReason; readonly detail?: string }

type Claim = TimeSpan & Explanation
type ExplainedPart = TimeSpan & { readonly claim: Claim | null }

function toClaims({ closed, open }: GapRecord, by: ClockName): readonly Claim[] {
  const claims = closed.map((mark): Claim => ({ ...mark, ...mark[by] }))
  if (open !== null) claims.push({ ...open, from: open[by], to: Infinity })
  return claims
}

function rank({ reason, from, to }: Claim): number {
  return reason === 'expired' ? -1 : to - from
}

function sameReason(a: Claim | null, b: Claim | null): boolean {
  return a === b || (a?.reason === b?.reason && a?.detail === b?.detail)
}

function withPart(parts: ExplainedPart[], part: ExplainedPart): ExplainedPart[] {
  const last = parts.at(-1)
  if (last === undefined || !sameReason(last.claim, part.claim)) return [...parts, part]
  return [...parts.slice(0, -1), { ...last, to: part.to }]
}

function absorbSlivers(parts: readonly ExplainedPart[]): readonly ExplainedPart[] {
  const whole = parts.reduce<ExplainedPart[]>((done, part, i) => {
    const beside = done.at(-1)?.claim ?? parts[i + 1]?.claim ?? null
    const isSliver = part.claim === null && part.to - part.from <= SLIVER_MS
    return withPart(done, isSliver ? { ...part, claim: beside } : part)
  }, [])
  return whole
}

function toSpan(span: Omit<Piece, 'to'>, to: number): CoveredSpan {
  const { from, fragments, bytes } = span
  return { from: epochMs(from), to: epochMs(to), fragments, bytes }
}
