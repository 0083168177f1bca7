import type { GapReason } from './archive.ts'
import type { ClockName, TimeSpan } from './chunk-span.ts'

/** Why there is no media in a stretch of time, by both clocks. A fact on its own: media may be there. */
export type GapMark = {
  readonly reason: GapReason
  /** For people. */
  readonly detail?: string
} & { readonly [by in ClockName]: TimeSpan }

/** One that lasts until the next fragment begins. */
export type OpenGap = {
  readonly reason: GapReason
  readonly detail?: string
} & { readonly [by in ClockName]: number }

/** What is to be stored of a stream's gaps; `open: null` says that none is. */
export type GapRecord = { readonly closed: readonly GapMark[]; readonly open: OpenGap | null }

/** Marks that wait in memory; the oldest go first, and become gaps of unknown reason. */
const MAX_WAITING = 256

/** How much longer a gap may be by the producer's clock than by ours; the rest is a jump of it. */
const MAX_CLOCKS_APART_MS = 60_000

/**
 * Notes why media is missing while a stream is written. What is noted waits for the catalogue's next
 * change of the stream, so that a loss costs no write of its own: when the disk is full or slow, that
 * is what caused it.
 */
export class GapNotes {
  #open: OpenGap | null = null
  #waiting: readonly GapMark[] = []
  #isStored = true

  /** Takes over what is on disk. */
  load(open: OpenGap | null): void {
    this.#open = open
  }

  /** Every mark that may not be on disk, and what is open. */
  get record(): GapRecord {
    return { closed: this.#waiting, open: this.#open }
  }

  /** `null` when all is on disk. */
  get toStore(): GapRecord | null {
    return this.#isStored ? null : this.record
  }

  stored({ closed, open }: GapRecord): void {
    this.#waiting = this.#waiting.filter((mark) => !closed.includes(mark))
    this.#isStored = this.#waiting.length === 0 && this.#open === open
  }

  /** A fragment was given up; the gap lasts until the next one begins. */
  lost(gap: OpenGap): void {
    const last = this.#waiting.at(-1)
    if (last?.reason === gap.reason && last.server.to === gap.server && this.#open === null) {
      // The fragment that ended the gap is lost as well.
      this.#waiting = this.#waiting.slice(0, -1)
      this.#open = { ...gap, server: last.server.from, producer: last.producer.from }
    } else {
      this.#end(gap)
      this.#open = gap
    }
    this.#isStored = false
  }

  /** A fragment begins. */
  begun(start: { readonly [by in ClockName]: number }): void {
    this.#end(start)
    this.#open = null
  }

  /**
   * The session is over.
   *
   * @param gap from the end of its last media
   */
  ended(gap: OpenGap, now: number): void {
    const open = this.#open
    if (open?.reason === gap.reason) return // it never had media
    let { server, producer } = gap
    if (open !== null) {
      const lengthMs = Math.max(now - open.server, 0)
      server = open.server + lengthMs
      producer = open.producer + lengthMs
      this.#end({ server, producer })
    }
    this.#open = { ...gap, server, producer }
    this.#isStored = false
  }

  #end(end: { readonly [by in ClockName]: number }): void {
    if (this.#open === null) return
    this.#isStored = false
    const mark = toMark(this.#open, end)
    if (mark !== null) this.#waiting = [...this.#waiting, mark].slice(-MAX_WAITING)
  }
}

/** `null` when it takes no time by either clock. */
export function toMark(
  { reason, detail, server, producer }: OpenGap,
  end: { readonly [by in ClockName]: number },
): GapMark | null {
  const serverTo = Math.max(server, end.server)
  const longest = serverTo - server + MAX_CLOCKS_APART_MS
  const producerTo = Math.min(Math.max(producer, end.producer), producer + longest)
  if (serverTo === server && producerTo === producer) return null
  return {
    ...{ reason, ...(detail === undefined ? {} : { detail }) },
    server: { from: server, to: serverTo },
    producer: { from: producer, to: producerTo },
  }
}

/** How far an evicted chunk may be from those before it, by each clock, to be of one mark with them. */
const EVICTED_TOGETHER_MS = 24 * 3_600_000

function isBeside(mark: GapMark, span: Spans): boolean {
  return (['server', 'producer'] as const).every((by) => {
    const { from, to } = mark[by]
    return (
      span[by].from <= to + EVICTED_TOGETHER_MS &&
      span[by].to >= from - EVICTED_TOGETHER_MS &&
      span[by].to - span[by].from <= EVICTED_TOGETHER_MS
    )
  })
}

function unionOf(a: TimeSpan, b: TimeSpan): TimeSpan {
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }
}

/**
 * Adds an evicted chunk to the mark of those before it, or begins another one.
 *
 * @returns `replaced`: the mark that `mark` takes the place of
 */
export function growEvicted(
  last: GapMark | null,
  span: Spans,
  detail: string,
): { readonly mark: GapMark; readonly replaced: GapMark | null } {
  const replaced = last !== null && last.detail === detail && isBeside(last, span) ? last : null
  const from = replaced ?? span
  const mark: GapMark = {
    ...{ reason: 'evicted', detail },
    server: unionOf(from.server, span.server),
    producer: unionOf(from.producer, span.producer),
  }
  return { mark, replaced }
}

type Spans = { readonly [by in ClockName]: TimeSpan }
