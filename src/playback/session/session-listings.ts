import type { Archive } from '../../archive/index.ts'
import { toFragmentNumber, type Fragment } from '../../domain/fragment.ts'
import { epochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import { fragmentPages, startOf, toKey } from '../fragment-pages.ts'
import type { ChunkFormats } from '../hls/chunk-formats.ts'
import { isIngestedAgain, withoutLaterCollections } from './ingested-collections.ts'
import {
  newestOf,
  presentationEndOf,
  Sequence,
  targetDurationOf,
  type ListedFragment,
  type Listing,
} from './listing.ts'
import type { StreamingSession } from './streaming-session.ts'

export type SessionListingsOptions = {
  readonly archive: Archive
  readonly clock: Clock
  readonly formats: ChunkFormats
}

/**
 * What each session lists now. Sessions that move on are remembered, the least recently asked for is
 * forgotten first: what is forgotten is counted again from the session's start.
 */
export class SessionListings {
  readonly #options: SessionListingsOptions
  readonly #moving = new Map<string, MovingListing>()

  constructor(options: SessionListingsOptions) {
    this.#options = options
  }

  async of(session: StreamingSession): Promise<Listing> {
    if (session.mode === 'ON_DEMAND') return listOnDemand(session, this.#options)
    const key = JSON.stringify(session)
    const moving = this.#moving.get(key) ?? new MovingListing(session, this.#options)
    this.#moving.delete(key)
    this.#moving.set(key, moving)
    if (this.#moving.size > MAX_REMEMBERED) {
      const [oldest] = this.#moving.keys()
      this.#moving.delete(oldest!)
    }
    return moving.advance()
  }
}

/** A window of some fragments each. */
const MAX_REMEMBERED = 1024

/** The fragments of a range by the session's clock, oldest first, page by page. */
export async function* fragmentsOf(
  session: StreamingSession,
  archive: Archive,
  { behind, pageSize }: { readonly behind: Fragment | null; readonly pageSize: number },
): AsyncGenerator<Fragment, void, undefined> {
  const { streamId, clock, range } = session
  if (range === null) return
  const pages = fragmentPages(archive, streamId, {
    by: clock,
    from: range.from,
    to: (range.to ?? Infinity) + 1, // both ends belong to it
    after: behind === null ? null : toKey(behind, clock),
    pageSize,
  })
  for await (const page of pages) {
    for (const fragment of page) if (startOf(fragment, clock) >= range.from) yield fragment
  }
}

async function listOnDemand(
  session: StreamingSession,
  { archive, formats }: SessionListingsOptions,
): Promise<Listing> {
  const wanted = session.window.fragments
  const found: Fragment[] = []
  const pageSize = Math.min(wanted + 1, MAX_PAGE_SIZE)
  for await (const fragment of fragmentsOf(session, archive, { behind: null, pageSize })) {
    found.push(fragment)
    // What is behind it may still take the place of the last ones, if it was ingested before them.
    if (found.length > wanted) break
  }
  const chosen = session.clock === 'producer' ? withoutLaterCollections(found) : found
  const listed = chosen.slice(0, wanted)
  const readable = await formats.playableOf(listed)
  const sequence = new Sequence(session)
  const entries = listed.map((fragment) => {
    const presentationMs = sequence.last === null ? 0 : presentationEndOf(sequence.last)
    const format = readable.get(fragment.place.chunkId) ?? null
    return sequence.add(fragment, format, { firstPosition: 0, presentationMs })
  })
  return { entries, isEnded: true, targetDurationS: targetDurationOf(session, entries) }
}

const MAX_PAGE_SIZE = 1000
/** Of LIVE_REPLAY: what a player wants before it begins. */
const LEAD_FRAGMENTS = 3
/** A fragment that began before the range's end may be stored so much later. */
const LAST_ARRIVAL_MS = 60_000
/** LIVE: a fragment that is sent again comes soon after the first time, if ever. */
const REPEAT_WINDOW = 64

/** LIVE and LIVE_REPLAY: a window over fragments that come one by one, and are never taken back. */
class MovingListing {
  readonly #session: StreamingSession
  readonly #options: SessionListingsOptions
  readonly #sequence: Sequence
  #entries: ListedFragment[] = []
  #targetDurationS: number
  /** The last fragment that was looked at, listed or not. */
  #behind: Fragment | null = null
  /** LIVE_REPLAY: fragments that were there at once, how long they are, and what came behind them. */
  #lead = 0
  #leadMs = 0
  #givenMs = 0
  #isEnded = false
  #turn: Promise<Listing> | null = null

  constructor(session: StreamingSession, options: SessionListingsOptions) {
    this.#session = session
    this.#options = options
    this.#sequence = new Sequence(session)
    this.#targetDurationS = session.start.targetDurationS
    if (session.start.waits) this.#keep(this.#sequence.addGap(this.#targetDurationS * 1000))
  }

  /** Playlists of sound and pictures are asked for at once, and both look at the same. */
  advance(): Promise<Listing> {
    this.#turn ??= this.#advance().finally(() => (this.#turn = null))
    return this.#turn
  }

  async #advance(): Promise<Listing> {
    if (!this.#isEnded) {
      if (this.#session.mode === 'LIVE') await this.#addArrived()
      else await this.#addReleased()
    }
    return {
      entries: newestOf(this.#entries, this.#session, this.#targetDurationS),
      isEnded: this.#isEnded,
      targetDurationS: this.#targetDurationS,
    }
  }

  async #addArrived(): Promise<void> {
    const { archive } = this.#options
    const { streamId, start } = this.#session
    for (;;) {
      const behind = this.#behind?.fragmentNumber ?? toNumber(start.afterCounter)
      const page = await archive.after(streamId, behind, MAX_PAGE_SIZE)
      await this.#add(page, (fragment) => fragment.serverTimestamp)
      if (page.length < MAX_PAGE_SIZE) return
    }
  }

  async #addReleased(): Promise<void> {
    const { archive, clock } = this.#options
    const { madeAt, range } = this.#session
    const now = clock.now()
    const feed = { behind: this.#behind, pageSize: MAX_RELEASED_AT_ONCE }
    const due: Fragment[] = []
    let isAll = true
    for await (const fragment of fragmentsOf(this.#session, archive, feed)) {
      if (this.#lead < LEAD_FRAGMENTS) {
        this.#lead++
        this.#leadMs += fragment.durationMs
      } else if (madeAt + this.#givenMs + fragment.durationMs <= now) {
        // "Fragments are added as the duration of the next fragment elapses."
        this.#givenMs += fragment.durationMs
      } else {
        isAll = false
        break
      }
      due.push(fragment)
    }
    await this.#add(due, () => {
      const { last } = this.#sequence
      return last === null ? madeAt - this.#leadMs : presentationEndOf(last)
    })
    this.#isEnded = isAll && range?.to != null && now > range.to + LAST_ARRIVAL_MS
  }

  async #add(
    fragments: readonly Fragment[],
    toPresentation: (fragment: Fragment) => number,
  ): Promise<void> {
    if (fragments.length === 0) return
    const formats = await this.#options.formats.playableOf(fragments)
    const { start, mode } = this.#session
    for (const fragment of fragments) {
      this.#behind = fragment
      if (mode === 'LIVE' ? this.#isRepeated(fragment) : this.#isReplaced(fragment)) continue
      const { last } = this.#sequence
      const format = formats.get(fragment.place.chunkId) ?? null
      const beforeMs = last === null ? 0 : presentationEndOf(last)
      const entry = this.#sequence.add(fragment, format, {
        firstPosition: mode === 'LIVE' ? Math.max(0, fragment.sequence - start.sequence) : 0,
        presentationMs: Math.max(toPresentation(fragment), beforeMs),
      })
      this.#keep(entry)
    }
  }

  /** By the producer's clock a fragment that was sent twice is one; the first one is listed already. */
  #isRepeated({ producerTimestamp }: Fragment): boolean {
    if (this.#session.clock === 'server') return false
    return this.#entries
      .slice(-REPEAT_WINDOW)
      .some(({ fragment }) => fragment?.producerTimestamp === producerTimestamp)
  }

  #isReplaced(fragment: Fragment): boolean {
    if (this.#session.clock === 'server') return false
    return isIngestedAgain(fragment, this.#entries.at(-1)?.fragment ?? null)
  }

  #keep(entry: ListedFragment): void {
    this.#entries.push(entry)
    this.#targetDurationS = Math.max(
      this.#targetDurationS,
      targetDurationOf(this.#session, [entry]),
    )
    const kept = this.#session.window.fragments + REPEAT_WINDOW
    if (this.#entries.length > 2 * kept) this.#entries = this.#entries.slice(-kept)
  }
}

const MAX_RELEASED_AT_ONCE = 200

/** Behind fragments with this counter, whose order it is; `null`: behind none. */
function toNumber(counter: number) {
  if (counter <= 0) return null
  return toFragmentNumber({ counter, serverTimestamp: epochMs(0), random28: 0 })
}
