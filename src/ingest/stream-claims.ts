import type { FragmentWriter } from '../archive/index.ts'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
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
   * @throws ServiceError `conflict`/`StreamBusy` while another publisher is there, `unavailable`
   */
  async claim(info: StreamInfo): Promise<StreamClaim> {
    const former = this.#holders.get(info.streamId)
    if (former !== undefined) await this.#waitFor(former)
    const writer = await this.#deps.archive.openWriter(info.streamId)
    const holder = { leaving: new AbortController(), closed: createDeferred<void>() }
    this.#holders.set(info.streamId, holder)
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
