import { Turns } from '../../platform/turns.ts'
import type { SourceInfo, SourceRegistry } from '../../registry/index.ts'
import type { SessionEndReason } from '../live-sessions.ts'
import { ConnectGate } from './connect-gate.ts'
import { SourceLoop, type SourceLoopDeps } from './source-loop.ts'
import type { SourceStatus } from './source-status.ts'

/** The running pulls of all sources. Disposal leaves every peer politely, within a bound. */
export interface Sources extends AsyncDisposable {
  /** `null` when the stream has no source. */
  status(stream: string): SourceStatus | null
  /** Resolves when what the registry said of the stream so far is in force. */
  settled(stream: string): Promise<void>
  /**
   * Runs `action` while the stream's source is not called: for removing a stream. If the stream and
   * its source are still there afterwards, the source is called again.
   */
  whileStopped<T>(stream: string, action: () => Promise<T>): Promise<T>
}

export type SourcesDeps = Omit<SourceLoopDeps, 'gate' | 'settings'> & {
  readonly sources: SourceRegistry
}

/** Calls every enabled source of the registry, and follows its changes from then on. */
export function startSources(deps: SourcesDeps): Sources {
  return new RunningSources(deps)
}

class RunningSources implements Sources {
  readonly #deps: SourcesDeps
  readonly #loopDeps: SourceLoopDeps
  readonly #running = new Map<string, Running>()
  /** By stream. */
  readonly #turns = new Turns()
  readonly #unwatch: () => void
  #isStopping = false

  constructor(deps: SourcesDeps) {
    this.#deps = deps
    const gate = new ConnectGate(deps.clock, { places: CONNECTS_AT_A_TIME, holdMs: HOLD_MS })
    this.#loopDeps = { ...deps, gate, settings: (stream) => deps.sources.settings(stream) }
    this.#unwatch = deps.sources.watch(
      (stream) => void this.#turns.take(stream, () => this.#follow(stream)),
    )
    const enabled = deps.sources.list().filter((source) => source.enabled)
    const stepMs = Math.min(START_STEP_MS, START_SPREAD_MS / enabled.length)
    for (const [i, source] of enabled.entries()) this.#start(source, Math.round(i * stepMs))
  }

  status(stream: string): SourceStatus | null {
    const source = this.#deps.sources.find(stream)
    if (source === null) return null
    const running = this.#running.get(stream)
    if (running !== undefined) return running.loop.status()
    const state = source.enabled ? 'waiting' : 'disabled'
    return { ...NOT_CALLED, state, since: source.createdAt }
  }

  async settled(stream: string): Promise<void> {
    await this.#turns.settled(stream)
  }

  whileStopped<T>(stream: string, action: () => Promise<T>): Promise<T> {
    return this.#turns.take(stream, async () => {
      await this.#stop(stream, 'source-changed')
      try {
        return await action()
      } finally {
        await this.#deps.sources.prune()
        await this.#follow(stream)
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    this.#unwatch()
    const streams = new Set([...this.#running.keys(), ...this.#turns.keys])
    await Promise.all(
      [...streams].map((stream) => this.#turns.take(stream, () => this.#stop(stream, 'shutdown'))),
    )
  }

  /** Makes what runs for a stream what the registry says. */
  async #follow(stream: string): Promise<void> {
    const source = this.#deps.sources.find(stream)
    const wanted = source !== null && source.enabled && !this.#isStopping ? source : null
    const running = this.#running.get(stream)
    if (running !== undefined && wanted !== null && isSame(running.source, wanted)) return
    await this.#stop(stream, 'source-changed')
    if (wanted === null) this.#deps.events.sourceNotCalled({ stream })
    else this.#start(wanted, 0)
  }

  #start(source: SourceInfo, delayMs: number): void {
    const { stream } = source
    this.#running.set(stream, { source, loop: new SourceLoop(this.#loopDeps, stream, delayMs) })
  }

  async #stop(stream: string, reason: SessionEndReason): Promise<void> {
    await this.#running.get(stream)?.loop.stop(reason)
    this.#running.delete(stream)
  }
}

type Running = { readonly source: SourceInfo; readonly loop: SourceLoop }

const CONNECTS_AT_A_TIME = 16
const HOLD_MS = 3_000
/** The first attempts of many sources are spread: this far apart, all of them over this long. */
const START_STEP_MS = 100
const START_SPREAD_MS = 10_000

const NOT_CALLED: Omit<SourceStatus, 'state' | 'since'> = {
  nextAttemptAt: null,
  failedAttempts: 0,
  lastFailure: null,
  reconnects: {},
}

function isSame(a: SourceInfo, b: SourceInfo): boolean {
  return a.streamId === b.streamId && a.origin === b.origin && a.version === b.version
}
