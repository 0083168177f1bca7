import type { LiveSession, SessionEndReason } from '../../../src/ingest/live-sessions.ts'
import {
  PullError,
  type Pull,
  type PullDeps,
  type PullFailure,
  type PullTarget,
} from '../../../src/ingest/pull/pull.ts'
import { createDeferred } from '../../../src/platform/deferred.ts'
import { Recorder } from '../../support/recorder.ts'

/** A Pull that keeps the contract and does what a test tells it. */
export class FakeCameras {
  readonly calls = new Recorder<FakeCall>()
  /** Called and not ended. */
  active = 0
  mostActive = 0

  readonly pull: Pull = async (target, deps, signal) => {
    const call = new FakeCall(target, deps)
    const leave = () => call.leave(signal.reason as SessionEndReason)
    signal.addEventListener('abort', leave, { once: true })
    this.mostActive = Math.max(this.mostActive, ++this.active)
    this.calls.push(call)
    try {
      await call.ended
    } finally {
      this.active--
      signal.removeEventListener('abort', leave)
    }
  }

  /** The nth call of a stream's source, from 1, past or future. */
  async call(stream: string, nth = 1): Promise<FakeCall> {
    const calls = () => this.of(stream)
    await this.calls.first(() => calls().length >= nth)
    return calls()[nth - 1]!
  }

  of(stream: string): readonly FakeCall[] {
    return this.calls.items.filter(({ target }) => target.stream === stream)
  }
}

export class FakeCall {
  readonly target: PullTarget
  readonly #deps: PullDeps
  readonly #end = createDeferred<void>()
  #session: LiveSession | null = null
  leftFor: SessionEndReason | null = null
  /** A pull with a bug: it does not leave. */
  isDeaf = false

  constructor(target: PullTarget, deps: PullDeps) {
    this.target = target
    this.#deps = deps
  }

  get ended(): Promise<void> {
    return this.#end.promise
  }

  async publish(): Promise<LiveSession> {
    this.#session = await this.#deps.sessions.open({
      stream: this.target.stream,
      authorisation: { kind: 'verified' },
      protocol: 'rtsp-pull',
      peer: '127.0.0.1:554',
    })
    this.#deps.onPublishing(this.#session)
    return this.#session
  }

  /** One key frame that arrives now. */
  sendFrame(): void {
    const { publisher } = this.#session!
    publisher.describe(TRACK)
    const arrivedAt = this.#deps.clock.now()
    const at = { pts: 0, dts: 0, durationTicks: 0, arrivedAt }
    publisher.write({ trackNumber: 1, isKey: true, data: Buffer.from('frame'), ...at })
  }

  async fail(reason: PullFailure, message = 'It failed.'): Promise<void> {
    await this.#session?.end('connection-error')
    this.#end.reject(new PullError(reason, message))
  }

  /** As a bug would: without ending the session. */
  throwUnexpected(error: unknown): void {
    this.#end.reject(error)
  }

  /** What an aborted signal brings about. */
  leave(reason: SessionEndReason): void {
    if (this.isDeaf) return
    this.leftFor = reason
    void Promise.resolve(this.#session?.end(reason)).then(() => this.#end.resolve())
  }
}

const TRACK = {
  number: 1,
  kind: 'data',
  codecId: 'D_TEST',
  codecPrivate: Buffer.alloc(0),
  timescale: 1000,
  video: null,
  audio: null,
} as const
