import type { FragmentWriter } from '../../archive/index.ts'
import type { Fragment, FragmentNumber } from '../../domain/fragment.ts'
import { epochMs, rescaleTicks, type EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import type { StreamEvent } from '../../media/matroska/stream-reader.ts'
import { concat } from '../../media/matroska/writer.ts'
import { GopMeter } from '../gop-meter.ts'
import type { IngestTally } from '../ingest-tally.ts'
import type { AcknowledgedFragment } from './acknowledgement.ts'
import { readFragmentTags, TAG_LIMITS } from './fragment-tags.ts'
import type { FragmentTurns, Turn } from './fragment-turns.ts'
import { HeaderInUse, type BlockEvent } from './header-in-use.ts'
import { PutMediaError } from './put-media-error.ts'

/** What a Matroska stream says, put into the archive: a Cluster is a Fragment. */
export class FragmentIntake implements Turn {
  readonly #deps: FragmentIntakeDeps
  readonly #limits: FragmentLimits
  readonly gop = new GopMeter()
  #header: HeaderInUse | null = null
  #open: OpenFragment | null = null

  constructor(deps: FragmentIntakeDeps, limits: FragmentLimits) {
    this.#deps = deps
    this.#limits = limits
  }

  get producerTimestamp(): number {
    return this.#open?.producerTimestamp ?? 0
  }

  onGranted(): void {
    this.#deps.onTurn()
  }

  get tracks(): ReadonlyMap<number, Track> {
    return this.#header?.tracks ?? NO_TRACKS
  }

  /** Another call waits for the open fragment to end. */
  get isWaitedFor(): boolean {
    return this.#deps.turns.isWaitedFor(this)
  }

  /**
   * @returns false when it is another call's turn: offer it again when `onTurn` is called
   * @throws PutMediaError, and what the archive's writer throws
   */
  take(event: StreamEvent, arrivedAt: EpochMs): boolean {
    switch (event.type) {
      case 'header':
        this.#takeHeader(event)
        return true
      case 'cluster':
        this.#beginFragment(event, arrivedAt)
        return true
      case 'block':
        return this.#takeBlock(event, arrivedAt)
      case 'other':
        this.#append([event.bytes], 0, arrivedAt)
        return true
      case 'cluster-end':
        return true // its Tags may follow: the next Cluster, document or end completes it
      case 'tags':
        this.#takeTags(event)
        return true
    }
  }

  /** The open fragment is complete. */
  finish(): void {
    const ended = this.#end()
    if (ended !== null) this.#deps.onEnded(ended.fragment, ended.persisted)
  }

  /** Keeps what there is of the open fragment although its end has not come. */
  keepOpen(): AcknowledgedFragment | null {
    const ended = this.#end()
    ended?.persisted.catch(() => undefined) // the archive has counted it
    return ended?.fragment ?? null
  }

  /** @returns the fragment that was given up */
  giveUp(reason: string): AcknowledgedFragment | null {
    const open = this.#open
    this.#open = null
    const fragment = open === null ? null : named(open)
    if (fragment !== null) this.#deps.writer.abandon(reason)
    this.#deps.turns.giveBack(this)
    return fragment
  }

  #takeHeader({ bytes, header }: StreamEvent & { readonly type: 'header' }): void {
    this.finish()
    const { maxTracks } = this.#limits
    if (header.tracks.length > maxTracks) {
      const message = `${header.tracks.length} tracks, ${maxTracks} at most`
      throw new PutMediaError('MORE_THAN_ALLOWED_TRACKS_FOUND', message)
    }
    this.#header = new HeaderInUse(bytes, header)
  }

  #beginFragment(
    { bytes, timecode }: StreamEvent & { readonly type: 'cluster' },
    arrivedAt: EpochMs,
  ): void {
    this.finish()
    const producerMs = this.#limits.producerStart + this.#toMs(timecode)
    if (producerMs < 0 || producerMs > LATEST_MS) {
      const message = `Timecode ${timecode} is at ${producerMs} ms`
      throw new PutMediaError('INVALID_PRODUCER_TIMESTAMP', message)
    }
    this.#header!.beginFragment()
    this.#open = {
      timecode,
      producerTimestamp: epochMs(producerMs),
      number: null,
      start: [bytes],
      startSamples: 0,
      startsWithKey: null,
      bytes: bytes.length,
      tags: [],
      tagPairs: 0,
      producerEnd: epochMs(producerMs),
      serverTimestamp: arrivedAt,
    }
  }

  #takeBlock(block: BlockEvent, arrivedAt: EpochMs): boolean {
    const open = this.#open
    if (open === null) return true
    if (open.number === null && !this.#deps.turns.take(this)) return false
    const header = this.#header!
    const track = header.tracks.get(block.trackNumber)
    if (track === undefined) {
      throw new PutMediaError('TRACK_NUMBER_MISMATCH', `a block of track ${block.trackNumber}`)
    }
    this.#deps.tally.count(track, arrivedAt, block.payloadBytes, block.frames)
    const relativeMs = this.#toMs(block.relativeTicks)
    if (track.kind === 'video') {
      const continues = open.number !== null || !this.#hasJumped(open)
      this.gop.note(open.producerTimestamp + relativeMs, block.isKey, continues)
    }
    const bytes = header.take(block)
    const blockMs = open.producerTimestamp + relativeMs
    open.producerEnd = epochMs(Math.max(open.producerEnd, blockMs))
    open.startsWithKey ??= block.isKey
    // Parameter sets that the header lacks come with the track's first frame, or not at all.
    if (open.number === null && header.isSettled) this.#beginInArchive(open, arrivedAt)
    this.#append([bytes], block.frames, arrivedAt)
    return true
  }

  #beginInArchive(open: OpenFragment, arrivedAt: EpochMs): void {
    const header = this.#header!
    open.number = this.#deps.writer.begin({
      header: header.bytes,
      tracks: [...header.tracks.values()],
      producerTimestamp: open.producerTimestamp,
      serverTimestamp: open.serverTimestamp,
      discontinuity: this.#hasJumped(open),
      startsWithKey: open.startsWithKey ?? false,
    })
    this.#deps.onBegun(named(open)!, open.serverTimestamp)
    const { start, startSamples, producerEnd } = open
    open.start = []
    this.#deps.writer.append(start, { samples: startSamples, producerEnd, arrivedAt })
  }

  #append(parts: readonly Uint8Array[], samples: number, arrivedAt: EpochMs): void {
    const open = this.#open
    if (open === null) return
    if (open.number === null) {
      open.start.push(...parts)
      open.startSamples += samples
    } else {
      const { producerEnd } = open
      this.#deps.writer.append(parts, { samples, producerEnd, arrivedAt })
    }
    for (const part of parts) open.bytes += part.length
    const { maxFragmentBytes } = this.#limits
    if (open.bytes > maxFragmentBytes) {
      throw new PutMediaError('MAX_FRAGMENT_SIZE_REACHED', `over ${maxFragmentBytes} bytes`)
    }
  }

  #takeTags({ bytes, pairs }: StreamEvent & { readonly type: 'tags' }): void {
    const open = this.#open
    if (open === null) return
    const tags = readFragmentTags(pairs)
    if (typeof tags === 'string' || open.tagPairs + tags.pairs > TAG_LIMITS.maxPairs) {
      const message = typeof tags === 'string' ? tags : `over ${TAG_LIMITS.maxPairs} tags`
      throw new PutMediaError('FRAGMENT_METADATA_LIMIT_REACHED', message)
    }
    open.tagPairs += tags.pairs
    if (tags.isKept) open.tags.push(bytes)
    if (tags.endsFragment) this.finish()
  }

  /** A Cluster without a block is none. */
  #end(): EndedFragment | null {
    const open = this.#open
    if (open === null) return null
    if (open.number === null && open.startSamples > 0) {
      this.#beginInArchive(open, open.serverTimestamp) // a track had no frame
    }
    this.#open = null
    const fragment = named(open)
    const { turns, writer } = this.#deps
    if (fragment === null) {
      turns.giveBack(this)
      return null
    }
    turns.last = { header: this.#header!.bytes, producerEnd: open.producerEnd }
    const persisted = writer.end(open.tags.length === 0 ? null : concat(open.tags))
    turns.giveBack(this)
    return { fragment, persisted }
  }

  #hasJumped({ producerTimestamp }: OpenFragment): boolean {
    const { last } = this.#deps.turns
    if (last === null || Buffer.compare(last.header, this.#header!.bytes) !== 0) return true
    const gapMs = producerTimestamp - last.producerEnd
    return gapMs > MAX_GAP_MS || gapMs < -MAX_OVERLAP_MS
  }

  /** Exact: an absolute Timecode in nanoseconds is beyond 2^53. */
  #toMs(ticks: number): number {
    return rescaleTicks(ticks, 1_000_000, this.#header!.timecodeScaleNs)
  }
}

export type FragmentIntakeDeps = {
  readonly writer: FragmentWriter
  readonly turns: FragmentTurns
  readonly tally: IngestTally
  /** It has a number. */
  readonly onBegun: (fragment: AcknowledgedFragment, firstByteAt: EpochMs) => void
  /** It is complete; `persisted` rejects when it could not be kept. */
  readonly onEnded: (fragment: AcknowledgedFragment, persisted: Promise<Fragment>) => void
  /** What was not taken may be offered again. */
  readonly onTurn: () => void
}

export type FragmentLimits = {
  /** What Timecodes count from: 0 for absolute ones. Milliseconds since 1970. */
  readonly producerStart: number
  readonly maxTracks: number
  readonly maxFragmentBytes: number
}

type EndedFragment = {
  readonly fragment: AcknowledgedFragment
  readonly persisted: Promise<Fragment>
}

type OpenFragment = {
  readonly timecode: number
  readonly producerTimestamp: EpochMs
  readonly serverTimestamp: EpochMs
  /** `null` before it is begun in the archive: with its first block, if nothing is waited for. */
  number: FragmentNumber | null
  /** What came before that: the Cluster's start, and blocks. */
  start: Uint8Array[]
  startSamples: number
  startsWithKey: boolean | null
  bytes: number
  /** The producer's Tags elements behind it. */
  readonly tags: Uint8Array[]
  tagPairs: number
  producerEnd: EpochMs
}

const NO_TRACKS: ReadonlyMap<number, Track> = new Map()
/** Of the year 2200: a Timecode in other units than its header says. */
const LATEST_MS = Date.UTC(2200, 0, 1)
/** From the last frame's beginning to the next fragment's; more is a gap in the recording. */
const MAX_GAP_MS = 1_000
const MAX_OVERLAP_MS = 1_000

function named({ timecode, number }: OpenFragment): AcknowledgedFragment | null {
  return number === null ? null : { timecode, number }
}
