import type { EpochMs } from '../../domain/time.ts'
import { createDeferred } from '../../platform/deferred.ts'
import { untilDrained } from '../disk-throttle.ts'
import type { LiveSession } from '../live-sessions.ts'
import { CameraSession, type PacketKind } from '../rtsp/camera-session.ts'
import { toTransportFacts } from '../rtsp/transport-facts.ts'
import { kindOfFormat } from '../rtp/depacketise/open-depacketiser.ts'
import { RtpIntake } from '../rtp/rtp-intake.ts'
import { MediaWatchdog } from './media-watchdog.ts'
import { toEndReason, toPullError } from './pull-ending.ts'
import { PullError, type Pull, type PullDeps, type PullTarget } from './pull.ts'

/** Pulls a camera over RTSP or RTSPS; docs/design/ingest.md has the rules. */
export const pullRtsp: Pull = (target, deps, signal) => new RtspPull(target, deps, signal).run()

class RtspPull {
  readonly #target: PullTarget
  readonly #deps: PullDeps
  readonly #signal: AbortSignal
  #camera: CameraSession | null = null
  #phase: Phase = 'before-play'
  /** Between PLAY and the session, oldest first. */
  #early: Packet[] = []
  #earlyBytes = 0
  #live: LiveSession | null = null
  #intake: RtpIntake | null = null
  #opening: Promise<void> | null = null
  /** Resolves when a session takes the media. */
  readonly #publishing = createDeferred<void>()

  constructor(target: PullTarget, deps: PullDeps, signal: AbortSignal) {
    this.#target = target
    this.#deps = deps
    this.#signal = signal
    this.#publishing.promise.catch(() => undefined) // told by whoever waits for it, if anybody does
  }

  async run(): Promise<void> {
    let failure: PullError | null = null
    try {
      await this.#attempt()
    } catch (error) {
      if (!this.#signal.aborted) failure = toPullError(error)
    }
    await this.#end(failure)
    if (failure !== null) throw failure
  }

  async #attempt(): Promise<never> {
    const { clock } = this.#deps
    const camera = await CameraSession.open(
      this.#target,
      {
        clock,
        onPacket: (mediaIndex, kind, bytes, arrivedAt) =>
          this.#packet({ mediaIndex, kind, bytes, arrivedAt }),
        throttle: () => this.#throttle(),
        onSkipped: (media, status) => {
          const { stream } = this.#target
          this.#deps.log.warn(
            { stream, kind: media.kind, status },
            'the camera gives no such media',
          )
        },
      },
      this.#signal,
    )
    this.#camera = camera
    // Requests end with the connection by themselves.
    const over = AbortSignal.any([this.#signal, camera.lost])
    await unlessAborted(over, camera.setUp())
    this.#phase = 'asked'
    await unlessAborted(over, camera.play())
    this.#phase = 'waiting'
    if (this.#early.some(({ kind }) => kind === 'rtp')) void this.#open()
    return this.#follow(camera, over)
  }

  /** From PLAY on; ends with an error or the signal only. */
  async #follow(camera: CameraSession, over: AbortSignal): Promise<never> {
    const { clock } = this.#deps
    const { connectTimeoutMs, stallTimeoutMs } = this.#target
    const limits = {
      // A video that we only store has no key frames that we would know.
      hasVideo: camera.medias.some((media) => kindOfFormat(media) === 'video'),
      firstMs: 3 * connectTimeoutMs,
      stallMs: stallTimeoutMs,
    }
    const start = clock.monotonicMs()
    const watchdog = new MediaWatchdog(limits, start)
    let reportAt = start + REPORT_EVERY_MS
    let keepaliveAt = start + camera.keepaliveMs
    for (;;) {
      const tick = clock.sleep(TICK_MS, over)
      // A session that cannot be opened ends the attempt at once.
      await Promise.race([tick, this.#publishing.promise.then(() => tick)])
      const now = clock.monotonicMs()
      if (camera.isSuspended) watchdog.excuse(now)
      const verdict = watchdog.judge(now, {
        keyFrames: this.#intake?.keyFrames ?? 0,
        samples: this.#intake?.samples ?? 0,
      })
      if (verdict !== 'alive') throw new PullError(verdict, VERDICTS[verdict])
      if (this.#intake?.hasEnded ?? false) {
        throw new PullError('peer-closed', 'The camera has ended all its media.')
      }
      if (now >= reportAt) {
        reportAt = now + REPORT_EVERY_MS
        this.#sendReceiverReports(camera)
      }
      if (now >= keepaliveAt) {
        keepaliveAt = now + camera.keepaliveMs
        camera.keepAlive()
      }
    }
  }

  /** @returns a promise when the camera has to wait */
  #packet(packet: Packet): Promise<void> | null {
    switch (this.#phase) {
      case 'before-play': // of another's session, from old live555 (Reolink)
      case 'ended':
        return null
      case 'publishing':
        this.#intake![packet.kind](packet.mediaIndex, packet.bytes, packet.arrivedAt)
        return null
      case 'asked':
        this.#hold(packet)
        return null
      case 'waiting':
        this.#hold(packet)
        return packet.kind === 'rtp' ? this.#open() : null
    }
  }

  #hold(packet: Packet): void {
    if (this.#earlyBytes + packet.bytes.length > MAX_EARLY_BYTES) return
    this.#earlyBytes += packet.bytes.length
    this.#early.push(packet)
  }

  /** Never rejects: the attempt ends by {@link RtspPull.#publishing}. */
  #open(): Promise<void> {
    this.#opening ??= this.#openSession().then(
      () => this.#publishing.resolve(),
      (error: unknown) => this.#publishing.reject(error),
    )
    return this.#opening
  }

  async #openSession(): Promise<void> {
    const { sessions, clock, onPublishing } = this.#deps
    const camera = this.#camera!
    const live = await sessions.open({
      stream: this.#target.stream,
      authorisation: { kind: 'verified' },
      protocol: 'rtsp-pull',
      peer: camera.peer,
      signal: this.#signal,
      transport: () => toTransportFacts(camera.lower, this.#intake),
    })
    this.#live = live
    if (this.#phase === 'ended') return
    this.#intake = new RtpIntake(
      { publisher: live.publisher, clock },
      { medias: camera.medias, ssrcOf: camera.ssrcs, isReliable: camera.lower === 'tcp' },
    )
    onPublishing(live)
    this.#phase = 'publishing'
    const early = this.#early
    this.#early = []
    for (const packet of early) void this.#packet(packet)
  }

  #sendReceiverReports(camera: CameraSession): void {
    for (const { index } of camera.medias) {
      const report = this.#intake?.receiverReport(index) ?? null
      if (report !== null) camera.sendRtcp(index, report)
    }
  }

  #throttle(): Promise<void> | null {
    if (this.#live === null) return null
    return untilDrained(this.#live.publisher, {
      clock: this.#deps.clock,
      signal: this.#signal,
    })
  }

  /** Leaves the camera, and persists what came; neither waits for the other. */
  async #end(failure: PullError | null): Promise<void> {
    this.#phase = 'ended'
    this.#early = []
    const left = this.#camera?.leave()
    await this.#opening
    this.#intake?.flush()
    await Promise.all([left, this.#live?.end(toEndReason(failure, this.#signal))])
  }
}

type Phase = 'before-play' | 'asked' | 'waiting' | 'publishing' | 'ended'

type Packet = {
  readonly mediaIndex: number
  readonly kind: PacketKind
  readonly bytes: Uint8Array
  readonly arrivedAt: EpochMs
}

/** GOPs and silence are measured this finely. */
const TICK_MS = 500
/** Some cameras want a sign of life as often. */
const REPORT_EVERY_MS = 5_000
/** A burst of pre-buffered media may come before the session is open. */
const MAX_EARLY_BYTES = 4 * 1024 * 1024

const VERDICTS = {
  'no-media': 'The camera plays, but no complete key frame has come.',
  stalled: 'No complete key frame comes any more.',
}

/** Rejects with the signal's reason as soon as it aborts, whatever the work does then. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const done = new AbortController()
  try {
    return await new Promise<T>((resolve, reject) => {
      const abandon = () => reject(signal.reason as Error)
      signal.addEventListener('abort', abandon, { once: true, signal: done.signal })
      work.then(resolve, reject)
    })
  } finally {
    done.abort()
  }
}
