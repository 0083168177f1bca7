import type { FragmentWriter } from '../archive/index.ts'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import { Turns } from '../platform/turns.ts'
import type { StreamInfo } from '../registry/index.ts'
import type { SessionDeps } from './ingest-deps.ts'
import type { Authorisation } from './live-sessions.ts'

/**
 * Who may publish on which stream: {@link StreamClaims.authorise} checks the key, then
 * {@link StreamClaims.claim} takes the stream by opening its one writer. In this order, so that nothing a stranger sends reaches a stream.
 */
export class StreamClaims {
  readonly #deps: StreamClaimsDeps
  readonly #holders = new Map<StreamId, Holder>()
  /** Streams that are being removed. */
  readonly #closed = new Set<StreamId>()
  readonly #opening = new Turns()

  constructor(deps: StreamClaimsDeps) {
    this.#deps = deps
  }

  /**
   * @throws ServiceError `unauthenticated`/`PublishUnauthorized` for a wrong key and for an unknown
   *   stream alike
   */
  authorise(name: string, authorisation: Authorisation): StreamInfo {
    const { registry } = this.#deps
    const accepted =
      authorisation.kind === 'verified' || registry.acceptsPublishKey(name, authorisation.key)
    const info = accepted ? registry.find(name) : null
    if (info !== null) return info
    throw new ServiceError(
      'unauthenticated',
      'PublishUnauthorized',
      'There is no such stream, or its publish key is another.',
    )
  }

  /**
   * An encoder that reconnects at once is not refused: a former publisher is given a moment to leave,
   * since the end of its connection may reach us after the beginning of the next, and the time to
   * persist its last fragment.
   *
   * @throws ServiceError `conflict`/`StreamBusy` while another publisher is there,
   *   `not-found`/`StreamRemoved` when the stream is or was removed meanwhile, `unavailable`
   */
  async claim(info: StreamInfo): Promise<StreamClaim> {
    const former = this.#holders.get(info.streamId)
    if (former !== undefined) await this.#waitFor(former)
    const { writer, holder } = await this.#opening.take(info.streamId, () => this.#hold(info))
    const release = async (finish: () => Promise<void>) => {
      holder.leaving.abort()
      try {
        await finish()
      } finally {
        await this.#close(info.streamId, writer, holder)
      }
    }
    return { info, writer, release }
  }

  /**
   * Nobody claims the stream from the call on, until what it returns is called.
   *
   * @returns when nobody is about to publish; see {@link left}
   */
  async close(streamId: StreamId): Promise<() => void> {
    this.#closed.add(streamId)
    await this.#opening.settled(streamId)
    return () => void this.#closed.delete(streamId)
  }

  isClosed(streamId: StreamId): boolean {
    return this.#closed.has(streamId)
  }

  /** Resolves when whoever has the stream has left it. */
  async left(streamId: StreamId): Promise<void> {
    await this.#holders.get(streamId)?.closed.promise
  }

  async #hold({ streamId, name }: StreamInfo) {
    const isThere = this.#deps.registry.find(name)?.streamId === streamId
    if (!isThere || this.#closed.has(streamId)) throw streamRemoved()
    const writer = await this.#deps.archive.openWriter(streamId)
    const holder = { leaving: new AbortController(), closed: createDeferred<void>() }
    this.#holders.set(streamId, holder)
    return { writer, holder }
  }

  async #close(streamId: StreamId, writer: FragmentWriter, holder: Holder): Promise<void> {
    try {
      await writer[Symbol.asyncDispose]()
    } finally {
      if (this.#holders.get(streamId) === holder) this.#holders.delete(streamId)
      holder.closed.resolve()
    }
  }

  async #waitFor({ leaving, closed }: Holder): Promise<void> {
    if (!leaving.signal.aborted) {
      await this.#deps.clock.sleep(MOMENT_MS, leaving.signal).catch(() => undefined) // it left
    }
    if (leaving.signal.aborted) await closed.promise
  }
}

export function streamRemoved(): ServiceError {
  return new ServiceError('not-found', 'StreamRemoved', 'The stream is being removed.')
}

type StreamClaimsDeps = Pick<SessionDeps, 'registry' | 'archive' | 'clock'>

type Holder = {
  /** Aborts when it has left and finishes its last fragment. */
  readonly leaving: AbortController
  /** Resolves when its writer is closed. */
  readonly closed: Deferred<void>
}

const MOMENT_MS = 500

export type StreamClaim = {
  readonly info: StreamInfo
  readonly writer: FragmentWriter
  /** Runs `finish`, then closes the writer; whoever claims the stream meanwhile waits. */
  readonly release: (finish: () => Promise<void>) => Promise<void>
}
