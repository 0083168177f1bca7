import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import { decodeAmf0 } from '../amf/amf0.ts'
import { untilDrained } from '../disk-throttle.ts'
import { FlvIntake } from '../flv/flv-intake.ts'
import type { FlvTag } from '../flv/flv-reader.ts'
import type { LiveSession } from '../live-sessions.ts'
import { MediaWatchdog } from './media-watchdog.ts'
import { toEndReason, toPullError } from './pull-ending.ts'
import { PullError, type PullDeps, type PullTarget } from './pull.ts'

/**
 * What pulls of FLV have in common, whether RTMP or HTTP brings it: opens the session when the first
 * media comes, feeds it, watches its progress, ends it.
 */
export class FlvFeed {
  readonly #target: PullTarget
  readonly #deps: PullDeps
  readonly #options: FlvFeedOptions
  #live: LiveSession | null = null
  #intake: FlvIntake | null = null
  #opening: Promise<void> | null = null
  /** The last metadata before the session. */
  #metadata: Uint8Array | null = null
  #isSuspended = false
  #hasEnded = false

  constructor(target: PullTarget, deps: PullDeps, options: FlvFeedOptions) {
    this.#target = target
    this.#deps = deps
    this.#options = options
  }

  /**
   * @returns a promise when nothing more may be given until it resolves: the session is being opened,
   *   or the disk is behind
   * @throws PullError `protocol-error`
   */
  take(tag: FlvTag, arrivedAt: EpochMs): Promise<void> | null {
    if (this.#hasEnded) return null
    if (this.#intake !== null) {
      this.#give(this.#intake, tag, arrivedAt)
      return this.#throttle()
    }
    if (tag.kind === 'script') {
      this.#metadata = tag.body
      return null
    }
    this.#opening = this.#open().then(() => {
      if (this.#intake !== null) this.#give(this.#intake, tag, arrivedAt)
    })
    return this.#opening
  }

  /** Ends with a PullError `no-media` or `stalled`, or with the signal's reason. */
  async watch(over: AbortSignal): Promise<never> {
    const { clock } = this.#deps
    const { connectTimeoutMs, stallTimeoutMs } = this.#target
    const limits = { hasVideo: true, firstMs: 3 * connectTimeoutMs, stallMs: stallTimeoutMs }
    const watchdog = new MediaWatchdog(limits, clock.monotonicMs())
    for (;;) {
      await clock.sleep(TICK_MS, over)
      const now = clock.monotonicMs()
      if (this.#isSuspended) watchdog.excuse(now)
      const verdict = watchdog.judge(now, {
        keyFrames: this.#intake?.progress ?? 0,
        samples: this.#intake?.samples ?? 0,
      })
      if (verdict !== 'alive') throw new PullError(verdict, VERDICTS[verdict])
    }
  }

  /** Persists what came; nothing is taken after it. */
  async end(failure: PullError | null): Promise<void> {
    this.#hasEnded = true
    await this.#opening?.catch(() => undefined) // told by take
    await this.#live?.end(toEndReason(failure, this.#options.signal))
  }

  async #open(): Promise<void> {
    const { sessions, onPublishing } = this.#deps
    const { protocol, peer, signal } = this.#options
    try {
      this.#live = await sessions.open({
        stream: this.#target.stream,
        authorisation: { kind: 'verified' },
        protocol,
        peer: peer(),
        signal,
      })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw toPullError(error)
    }
    if (this.#hasEnded) return
    this.#intake = new FlvIntake(this.#live.publisher)
    if (this.#metadata !== null) this.#script(this.#intake, this.#metadata)
    this.#metadata = null
    onPublishing(this.#live)
  }

  #give(intake: FlvIntake, { kind, timestamp, body }: FlvTag, arrivedAt: EpochMs): void {
    try {
      if (kind === 'script') this.#script(intake, body)
      else intake[kind](body, timestamp, arrivedAt)
    } catch (error) {
      throw error instanceof ServiceError && error.kind === 'malformed-media'
        ? new PullError('protocol-error', `The source sends broken media: ${error.message}`, error)
        : error
    }
  }

  /** Metadata that cannot be read cost the source nothing: its media may be well. */
  #script(intake: FlvIntake, body: Uint8Array): void {
    try {
      intake.metadata(decodeAmf0(body))
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.#deps.log.debug({ err: error, stream: this.#target.stream }, 'metadata not readable')
    }
  }

  #throttle(): Promise<void> | null {
    const wait = untilDrained(this.#live!.publisher, {
      clock: this.#deps.clock,
      signal: this.#options.signal,
    })
    if (wait === null) return null
    this.#isSuspended = true
    return wait.finally(() => (this.#isSuspended = false))
  }
}

export type FlvFeedOptions = {
  readonly protocol: 'rtmp-pull' | 'http-flv-pull'
  /** Address and port, once connected. */
  readonly peer: () => string
  readonly signal: AbortSignal
}

/** GOPs and silence are measured this finely. */
const TICK_MS = 500

const VERDICTS = {
  'no-media': 'The source answers, but no key frame has come.',
  stalled: 'No key frame comes any more.',
}
