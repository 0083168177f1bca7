import type { Coverage } from '../archive/index.ts'
import { UsageError } from './command.ts'

const DAY_MS = 86_400_000

/**
 * The query of `kinora streams coverage`: the last 24 hours unless told otherwise.
 *
 * @throws UsageError for what is no time
 */
export function toCoverageQuery(
  values: {
    readonly from?: string | undefined
    readonly to?: string | undefined
    readonly by?: string | undefined
  },
  nowMs: number,
): URLSearchParams {
  const to = values.to === undefined ? nowMs : toMs('--to', values.to)
  const from = values.from === undefined ? to - DAY_MS : toMs('--from', values.from)
  const { by = 'producer' } = values
  return new URLSearchParams({ from: String(Math.max(from, 0)), to: String(to), by })
}

/** Media and gaps in order of time, one a line. */
export function showCoverage(answer: unknown): string {
  const { spans, gaps } = answer as Coverage
  const lines = [
    ...spans.map(({ from, to, fragments, bytes }) => ({
      ...{ from, to },
      what: `media   ${fragments} fragments, ${(bytes / 1e6).toFixed(1)} MB`,
    })),
    ...gaps.map(({ from, to, reason, detail }) => ({
      ...{ from, to },
      what: `gap     ${reason}${detail === undefined ? '' : ` (${detail})`}`,
    })),
  ]
  if (lines.length === 0) return 'Nothing of this time has happened yet.'
  const toText = (ms: number) => new Date(ms).toISOString()
  return lines
    .toSorted((a, b) => a.from - b.from)
    .map(({ from, to, what }) => `${toText(from)}  ${toText(to)}  ${what}`)
    .join('\n')
}

/** @throws UsageError for what is no time */
export function toMs(option: string, text: string): number {
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(ms)) return ms
  throw new UsageError(`${option}: neither ISO 8601 nor milliseconds: ${text}`)
}
