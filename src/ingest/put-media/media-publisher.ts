import type { Fragment } from '../../domain/fragment.ts'
import type { EpochMs } from '../../domain/time.ts'
import { MatroskaStreamReader, type StreamEvent } from '../../media/matroska/stream-reader.ts'
import { IngestTally } from '../ingest-tally.ts'
import type { PublisherDeps, PublisherSnapshot } from '../publisher.ts'
import { toTrackInfo } from '../session-info.ts'
import type { AcknowledgedFragment, Acknowledgement, PutMediaErrorCode } from './acknowledgement.ts'
import { FragmentIntake, type FragmentLimits } from './fragment-intake.ts'
import type { FragmentTurns } from './fragment-turns.ts'
import { toPutMediaError } from './put-media-error.ts'

/**
 * A producer's Matroska on its way into the archive, as it is. What became of each fragment is told by
 * `acknowledge`, of each in order.
 *
 * Never throws on what a producer sends: an ERROR is acknowledged, the open fragment given up, and
 * nothing more is taken. While another call of the same stream is in a fragment, what comes waits here.
 */
export class MediaPublisher {
  readonly #deps: MediaPublisherDeps
  readonly #options: MediaPublisherOptions
  readonly #reader: MatroskaStreamReader
  readonly #tally: IngestTally
  readonly #intake: FragmentIntake
  /** Waits for this call's turn. */
  #held: { readonly event: StreamEvent; readonly arrivedAt: EpochMs }[] = []
  #heldBytes = 0
  #onReleased: (() => void) | null = null
  #failed = false
  readonly #ending = new Set<Promise<void>>()

  constructor(deps: MediaPublisherDeps, options: MediaPublisherOptions) {
    this.#deps = deps
    this.#options = options
    this.#tally = new IngestTally(deps, options.stream)
    this.#reader = new MatroskaStreamReader({
      maxHeaderBytes: MAX_HEADER_BYTES,
      maxElementBytes: options.maxFragmentBytes,
    })
    const { writer, turns } = deps
    this.#intake = new FragmentIntake(
      {
        ...{ writer, turns, tally: this.#tally },
        onBegun: (fragment, firstByteAt) => {
          this.#observe('buffering', firstByteAt)
          this.#acknowledge({ type: 'BUFFERING', fragment })
        },
        onEnded: (fragment, persisted) => this.#follow(fragment, persisted),
        onTurn: () => this.#release(),
      },
      options,
    )
  }

  /** Bytes that wait for the disk or for a turn; stop reading from the producer while they are many. */
  get queuedBytes(): number {
    return this.#deps.writer.queuedBytes + this.#heldBytes
  }

  /** An ERROR was acknowledged: nothing more is taken. */
  get hasFailed(): boolean {
    return this.#failed
  }

  /** Another call waits for the fragment that is open here. */
  get isWaitedFor(): boolean {
    return this.#intake.isWaitedFor
  }

  /** Takes the next bytes of the body, which must not be written again. */
  push(bytes: Uint8Array): void {
    this.#attempt(() => this.#offer(this.#reader.push(bytes)))
  }

  /**
   * The body has ended. A fragment that it completes is kept; of one that broke off, what is there,
   * if it begins with a key frame: the archive's rule for a tail.
   *
   * @returns resolves when every fragment is persisted or given up
   */
  async end(): Promise<void> {
    this.#attempt(() => this.#offer(this.#reader.end().events))
    if (this.#held.length > 0) await new Promise<void>((resolve) => (this.#onReleased = resolve))
    this.#attempt(() => this.#intake.finish())
    this.#failed = true
    this.#tally.report()
    await Promise.all(this.#ending)
  }

  /** Gives up: the producer broke a rule, or the service stops. */
  fail(code: PutMediaErrorCode, message: string): void {
    if (this.#failed) return
    this.#over(code, message, this.#intake.giveUp(code))
  }

  /**
   * Makes room for another call, because nothing comes any more: what came of the open fragment is kept,
   * and the producer, if it is still there, is told to send it again.
   */
  giveWay(): void {
    if (this.#failed) return
    this.#over('STREAM_READ_ERROR', 'silent while another call waits', this.#intake.keepOpen())
  }

  snapshot(): PublisherSnapshot {
    return {
      tracks: [...this.#intake.tracks.values()].map(toTrackInfo),
      gop: this.#intake.gop.facts(),
      clock: null, // Timecodes are the producer's own
      ...this.#tally.snapshot(this.#deps.clock.now()),
    }
  }

  #attempt(action: () => void): void {
    if (this.#failed) return
    try {
      action()
    } catch (error) {
      const { code, message } = toPutMediaError(error)
      this.fail(code, message)
    }
  }

  #offer(events: readonly StreamEvent[]): void {
    const arrivedAt = this.#deps.clock.now()
    for (const event of events) {
      if (this.#failed) return
      if (this.#held.length === 0 && this.#intake.take(event, arrivedAt)) continue
      this.#held.push({ event, arrivedAt })
      if ('bytes' in event) this.#heldBytes += event.bytes.length
    }
  }

  /** Its turn has come. */
  #release(): void {
    this.#attempt(() => {
      for (;;) {
        const next = this.#held[0]
        if (next === undefined || !this.#intake.take(next.event, next.arrivedAt)) return
        this.#held.shift()
        if ('bytes' in next.event) this.#heldBytes -= next.event.bytes.length
      }
    })
    if (this.#held.length === 0) this.#onReleased?.()
  }

  #over(code: PutMediaErrorCode, message: string, fragment: AcknowledgedFragment | null): void {
    this.#failed = true
    this.#held = []
    this.#heldBytes = 0
    this.#deps.metrics.putMediaErrors.inc({ stream: this.#options.stream, code })
    this.#acknowledge({ type: 'ERROR', code, fragment, message })
    this.#onReleased?.()
    this.#options.onFailed()
  }

  /** A fragment that is complete. */
  #follow(fragment: AcknowledgedFragment, persisted: Promise<Fragment>): void {
    const endedAt = this.#deps.clock.now()
    this.#acknowledge({ type: 'RECEIVED', fragment })
    const ending: Promise<void> = persisted
      .then(
        () => {
          this.#observe('persisted', endedAt)
          if (this.#options.isArchived()) this.#acknowledge({ type: 'PERSISTED', fragment })
        },
        (err: unknown) => {
          const { stream } = this.#options
          this.#deps.log.warn({ err, stream }, 'fragment not persisted')
          if (this.#failed) return this.#acknowledge(notPersisted(fragment))
          this.#intake.giveUp('ARCHIVAL_ERROR')
          this.#over('ARCHIVAL_ERROR', 'not persisted', fragment)
        },
      )
      .finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  #observe(phase: 'buffering' | 'persisted', since: EpochMs): void {
    const seconds = Math.max(0, this.#deps.clock.now() - since) / 1000
    this.#deps.metrics.putMediaAckSeconds.observe({ phase }, seconds)
  }

  #acknowledge(acknowledgement: Acknowledgement): void {
    this.#options.acknowledge(acknowledgement)
  }
}

export type MediaPublisherDeps = PublisherDeps & { readonly turns: FragmentTurns }

export type MediaPublisherOptions = FragmentLimits & {
  readonly stream: string
  /** Whether the stream keeps what it gets: with a retention of 0, RECEIVED is the last. */
  readonly isArchived: () => boolean
  readonly acknowledge: (acknowledgement: Acknowledgement) => void
  /** An ERROR was acknowledged. */
  readonly onFailed: () => void
}

/** Real ones are under 64 KiB; thumbnails and long CodecPrivates fit. */
const MAX_HEADER_BYTES = 1024 * 1024

function notPersisted(fragment: AcknowledgedFragment): Acknowledgement {
  return { type: 'ERROR', code: 'ARCHIVAL_ERROR', fragment, message: 'not persisted' }
}
