import type { FragmentWriter } from '../../archive/index.ts'
import { MalformedMediaError, ServiceError } from '../../domain/errors.ts'
import type { FragmentNumber } from '../../domain/fragment.ts'
import { epochMs, type EpochMs } from '../../domain/time.ts'
import type { Track } from '../../domain/track.ts'
import { MatroskaStreamReader, type StreamEvent } from '../../media/matroska/stream-reader.ts'
import { concat } from '../../media/matroska/writer.ts'
import { GopMeter } from '../gop-meter.ts'
import { IngestTally } from '../ingest-tally.ts'
import type { PublisherDeps, PublisherSnapshot } from '../publisher.ts'
import { toTrackInfo } from '../session-info.ts'
import type { Acknowledgement, PutMediaErrorCode } from './acknowledgement.ts'
import { readFragmentTags, TAG_LIMITS } from './fragment-tags.ts'

/**
 * A producer's Matroska on its way into the archive, as it is: a Cluster is a Fragment. What became of
 * each is told by `acknowledge`, of each fragment in order.
 *
 * Never throws on what a producer sends: an ERROR is acknowledged, the open fragment given up, and
 * nothing more is taken.
 */
export class MediaPublisher {
  readonly #deps: PublisherDeps
  readonly #options: MediaPublisherOptions
  readonly #reader: MatroskaStreamReader
  readonly #tally: IngestTally
  readonly #gop = new GopMeter()
  #tracks: ReadonlyMap<number, Track> = new Map()
  #header: Uint8Array | null = null
  #scaleNs = 1_000_000
  #open: OpenFragment | null = null
  #arrivedAt: EpochMs
  #previousEnd: number | null = null
  #failed = false
  readonly #ending = new Set<Promise<void>>()

  constructor(deps: PublisherDeps, options: MediaPublisherOptions) {
    this.#deps = deps
    this.#options = options
    this.#arrivedAt = deps.clock.now()
    this.#tally = new IngestTally(deps, options.stream)
    this.#reader = new MatroskaStreamReader({
      maxHeaderBytes: MAX_HEADER_BYTES,
      maxElementBytes: options.maxFragmentBytes,
    })
  }

  /** Bytes that wait for the disk; stop reading from the producer while they are many. */
  get queuedBytes(): number {
    return this.#writer.queuedBytes
  }

  /** An ERROR was acknowledged: nothing more is taken. */
  get hasFailed(): boolean {
    return this.#failed
  }

  /** Takes the next bytes of the body, which must not be written again. */
  push(bytes: Uint8Array): void {
    if (this.#failed) return
    this.#arrivedAt = this.#deps.clock.now()
    this.#take(() => this.#reader.push(bytes))
  }

  /**
   * The body has ended. A fragment that it completes is kept; of one that broke off, what is there,
   * if it begins with a key frame: the archive's rule for a tail.
   *
   * @returns resolves when every fragment is persisted or given up
   */
  async end(): Promise<void> {
    if (!this.#failed) {
      this.#take(() => this.#reader.end().events)
      this.#finishFragment()
    }
    this.#failed = true
    this.#tally.report()
    await Promise.all(this.#ending)
  }

  /** Gives up: the producer broke a rule, or the service stops. */
  fail(code: PutMediaErrorCode, message: string): void {
    if (this.#failed) return
    this.#failed = true
    const open = this.#open
    this.#open = null
    const fragment = open === null || open.number === null ? null : named(open)
    if (fragment !== null) this.#writer.abandon(code)
    this.#options.acknowledge({ type: 'ERROR', code, fragment, message })
  }

  snapshot(): PublisherSnapshot {
    return {
      tracks: [...this.#tracks.values()].map(toTrackInfo),
      gop: this.#gop.facts(),
      clock: null, // Timecodes are the producer's own
      ...this.#tally.snapshot(this.#deps.clock.now()),
    }
  }

  get #writer(): FragmentWriter {
    return this.#deps.writer
  }

  #take(read: () => readonly StreamEvent[]): void {
    try {
      for (const event of read()) {
        if (this.#failed) return
        this.#handle(event)
      }
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.fail(toErrorCode(error), error.message)
    }
  }

  #handle(event: StreamEvent): void {
    switch (event.type) {
      case 'header':
        this.#takeHeader(event)
        break
      case 'cluster':
        this.#begin(event)
        break
      case 'block':
        this.#append(event)
        break
      case 'other':
        this.#appendParts([event.bytes], 0)
        break
      case 'cluster-end':
        break // its Tags may follow: the next Cluster, document or end completes it
      case 'tags':
        this.#takeTags(event)
        break
    }
  }

  #takeHeader({ bytes, header }: StreamEvent & { readonly type: 'header' }): void {
    this.#finishFragment()
    if (header.tracks.length > this.#options.maxTracks) {
      this.fail(
        'MORE_THAN_ALLOWED_TRACKS_FOUND',
        `${header.tracks.length} tracks, ${this.#options.maxTracks} at most`,
      )
      return
    }
    this.#tracks = new Map(header.tracks.map((track) => [track.number, track]))
    this.#header = bytes
    this.#scaleNs = header.timecodeScaleNs
    this.#previousEnd = null
  }

  #begin({ bytes, timecode }: StreamEvent & { readonly type: 'cluster' }): void {
    this.#finishFragment()
    const timecodeMs = (timecode * this.#scaleNs) / 1_000_000
    const producerMs = Math.floor(this.#options.producerStart + timecodeMs)
    if (producerMs < 0 || producerMs > LATEST_MS) {
      this.fail('INVALID_PRODUCER_TIMESTAMP', `Timecode ${timecode} is at ${producerMs} ms`)
      return
    }
    this.#open = {
      timecode,
      producerTimestamp: epochMs(producerMs),
      number: null,
      start: [bytes],
      bytes: bytes.length,
      tags: [],
      tagPairs: 0,
      producerEnd: epochMs(producerMs),
      serverTimestamp: this.#arrivedAt,
    }
  }

  /** The archive wants to know whether a fragment begins with a key frame: its first block tells. */
  #append(block: StreamEvent & { readonly type: 'block' }): void {
    const open = this.#open
    const track = this.#tracks.get(block.trackNumber)
    if (open === null) return
    if (track === undefined) {
      this.fail('TRACK_NUMBER_MISMATCH', `a block of track ${block.trackNumber}`)
      return
    }
    this.#tally.count(track, this.#arrivedAt, block.payloadBytes, block.frames)
    const relativeMs = (block.relativeTicks * this.#scaleNs) / 1_000_000
    if (track.kind === 'video') {
      const continues = open.number !== null || !this.#hasJumped(open)
      this.#gop.note(open.producerTimestamp + relativeMs, block.isKey, continues)
    }
    const endMs = Math.ceil(open.producerTimestamp + relativeMs)
    open.producerEnd = epochMs(Math.max(open.producerEnd, endMs))
    if (open.number === null) this.#beginInArchive(open, { startsWithKey: block.isKey })
    this.#appendParts([block.bytes], block.frames)
  }

  #beginInArchive(open: OpenFragment, { startsWithKey }: { startsWithKey: boolean }): void {
    open.number = this.#writer.begin({
      header: this.#header!,
      tracks: [...this.#tracks.values()],
      producerTimestamp: open.producerTimestamp,
      serverTimestamp: open.serverTimestamp,
      discontinuity: this.#hasJumped(open),
      startsWithKey,
    })
    const start = open.start
    open.start = []
    this.#options.acknowledge({ type: 'BUFFERING', fragment: named(open) })
    this.#appendParts(start, 0)
  }

  #hasJumped({ producerTimestamp }: OpenFragment): boolean {
    if (this.#previousEnd === null) return true
    const gapMs = producerTimestamp - this.#previousEnd
    return gapMs > MAX_GAP_MS || gapMs < -MAX_OVERLAP_MS
  }

  #appendParts(parts: readonly Uint8Array[], samples: number): void {
    const open = this.#open
    if (open === null) return
    if (open.number === null) {
      open.start.push(...parts)
    } else {
      this.#writer.append(parts, {
        samples,
        producerEnd: open.producerEnd,
        arrivedAt: this.#arrivedAt,
      })
    }
    for (const part of parts) open.bytes += part.length
    if (open.bytes > this.#options.maxFragmentBytes) {
      this.fail('MAX_FRAGMENT_SIZE_REACHED', `over ${this.#options.maxFragmentBytes} bytes`)
    }
  }

  #takeTags({ bytes, pairs }: StreamEvent & { readonly type: 'tags' }): void {
    const open = this.#open
    if (open === null) return
    const tags = readFragmentTags(pairs)
    if (typeof tags === 'string' || open.tagPairs + tags.pairs > TAG_LIMITS.maxPairs) {
      const message = typeof tags === 'string' ? tags : `over ${TAG_LIMITS.maxPairs} tags`
      this.fail('FRAGMENT_METADATA_LIMIT_REACHED', message)
      return
    }
    open.tagPairs += tags.pairs
    if (tags.isKept) open.tags.push(bytes)
    if (tags.endsFragment) this.#finishFragment()
  }

  /** A Cluster without a block is none. */
  #finishFragment(): void {
    const open = this.#open
    this.#open = null
    if (open === null || open.number === null) return
    this.#previousEnd = open.producerEnd
    const fragment = named(open)
    this.#options.acknowledge({ type: 'RECEIVED', fragment })
    const ending: Promise<void> = this.#writer
      .end(open.tags.length === 0 ? null : concat(open.tags))
      .then(
        () => {
          if (this.#options.isArchived()) this.#options.acknowledge({ type: 'PERSISTED', fragment })
        },
        (error: unknown) => {
          this.#deps.log.warn(
            { err: error, stream: this.#options.stream },
            'fragment not persisted',
          )
          this.#failed = true
          this.#options.acknowledge({
            type: 'ERROR',
            code: 'ARCHIVAL_ERROR',
            fragment,
            message: 'not persisted',
          })
        },
      )
      .finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}

export type MediaPublisherOptions = {
  readonly stream: string
  /** What Timecodes count from: 0 for absolute ones. Milliseconds since 1970. */
  readonly producerStart: number
  readonly maxTracks: number
  readonly maxFragmentBytes: number
  /** Whether the stream keeps what it gets: with a retention of 0, RECEIVED is the last. */
  readonly isArchived: () => boolean
  readonly acknowledge: (acknowledgement: Acknowledgement) => void
}

type OpenFragment = {
  readonly timecode: number
  readonly producerTimestamp: EpochMs
  readonly serverTimestamp: EpochMs
  /** `null` before its first block. */
  number: FragmentNumber | null
  /** The Cluster's bytes before its first block. */
  start: Uint8Array[]
  bytes: number
  /** The producer's Tags elements behind it. */
  readonly tags: Uint8Array[]
  tagPairs: number
  producerEnd: EpochMs
}

/** Real ones are under 64 KiB; thumbnails and long CodecPrivates fit. */
const MAX_HEADER_BYTES = 1024 * 1024
/** Of the year 2200: a Timecode in other units than its header says. */
const LATEST_MS = Date.UTC(2200, 0, 1)
/** From the last frame's beginning to the next fragment's; more is a gap in the recording. */
const MAX_GAP_MS = 1_000
const MAX_OVERLAP_MS = 1_000

function named({ timecode, number }: OpenFragment) {
  return { timecode, number: number! }
}

function toErrorCode(error: ServiceError): PutMediaErrorCode {
  if (error instanceof MalformedMediaError) return 'INVALID_MKV_DATA'
  if (error.code === 'ElementTooLarge') return 'MAX_FRAGMENT_SIZE_REACHED'
  if (error.code === 'HeaderTooLarge') return 'INVALID_MKV_DATA'
  return 'ARCHIVAL_ERROR'
}
