import type { FragmentWriter } from '../archive/index.ts'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import { Turns } from '../platform/turns.ts'
import type { StreamInfo } from '../registry/index.ts'
import type { SessionDeps } from './ingest-deps.ts'
import type { Authorisation } from './live-sessions.ts'
import { FragmentTurns } from './put-media/fragment-turns.ts'

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
   * @param maxTogether over 1: it may share the stream with others who say so, this one included
   * @throws ServiceError `conflict`/`StreamBusy` while another publisher is there,
   *   `not-found`/`StreamRemoved` when the stream is or was removed meanwhile, `unavailable`
   */
  async claim(info: StreamInfo, maxTogether = 1): Promise<StreamClaim> {
    const former = this.#holders.get(info.streamId)
    if (former !== undefined && !mayJoin(former, maxTogether)) await this.#waitFor(former)
    const holder = await this.#opening.take(info.streamId, () => this.#hold(info, maxTogether))
    const release = async (finish: () => Promise<void>) => {
      holder.staying--
      if (holder.staying === 0) holder.leaving.abort()
      try {
        await finish()
      } finally {
        holder.claims--
        if (holder.claims === 0) await this.#close(info.streamId, holder)
      }
    }
    return { info, writer: holder.writer, turns: holder.turns, release }
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

  async #hold({ streamId, name }: StreamInfo, maxTogether: number): Promise<Holder> {
    const isThere = this.#deps.registry.find(name)?.streamId === streamId
    if (!isThere || this.#closed.has(streamId)) throw streamRemoved()
    const former = this.#holders.get(streamId)
    if (former !== undefined && mayJoin(former, maxTogether)) {
      former.staying++
      former.claims++
      return former
    }
    const holder: Holder = {
      writer: await this.#deps.archive.openWriter(streamId),
      turns: new FragmentTurns(),
      ...{ isShared: maxTogether > 1, staying: 1, claims: 1 },
      ...{ leaving: new AbortController(), closed: createDeferred<void>() },
    }
    this.#holders.set(streamId, holder)
    return holder
  }

  async #close(streamId: StreamId, holder: Holder): Promise<void> {
    try {
      await holder.writer[Symbol.asyncDispose]()
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

/** The publisher of a stream, or several who share it. */
type Holder = {
  readonly writer: FragmentWriter
  readonly turns: FragmentTurns
  readonly isShared: boolean
  /** Of those who share it: not leaving; not left. */
  staying: number
  claims: number
  /** Aborts when it has left and finishes its last fragment. */
  readonly leaving: AbortController
  /** Resolves when its writer is closed. */
  readonly closed: Deferred<void>
}

const MOMENT_MS = 500

function mayJoin(former: Holder, maxTogether: number): boolean {
  return former.isShared && former.staying > 0 && former.claims < maxTogether
}

export type StreamClaim = {
  readonly info: StreamInfo
  readonly writer: FragmentWriter
  /** For those who share it. */
  readonly turns: FragmentTurns
  /** Runs `finish`, then, if nobody shares it, closes the writer; whoever claims the stream meanwhile waits. */
  readonly release: (finish: () => Promise<void>) => Promise<void>
}
