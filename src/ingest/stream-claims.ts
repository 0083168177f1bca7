import type { Archive, FragmentWriter } from '../archive/index.ts'
import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { StreamInfo, StreamRegistry } from '../registry/index.ts'

/**
 * Who may publish on which stream: checks the key, then claims the stream by opening its one writer.
 * In this order, so that nothing a stranger sends reaches a stream.
 */
export class StreamClaims {
  readonly #deps: { readonly registry: StreamRegistry; readonly archive: Archive }
  readonly #closing = new Map<StreamId, Promise<void>>()

  constructor(deps: { readonly registry: StreamRegistry; readonly archive: Archive }) {
    this.#deps = deps
  }

  /**
   * Waits for a former publisher's last fragment, when that one has left already: an encoder that
   * reconnects at once is not refused.
   *
   * @throws ServiceError `unauthenticated`/`PublishUnauthorized` for a wrong key and for an unknown
   *   stream alike, `conflict`/`StreamBusy` while another publisher is there, `unavailable`
   */
  async claim(name: string, key: string): Promise<StreamClaim> {
    const accepted = this.#deps.registry.acceptsPublishKey(name, key)
    const info = accepted ? this.#deps.registry.find(name) : null
    if (info === null) {
      throw new ServiceError(
        'unauthenticated',
        'PublishUnauthorized',
        'There is no such stream, or its publish key is another.',
      )
    }
    await this.#closing.get(info.streamId)
    const writer = await this.#deps.archive.openWriter(info.streamId)
    return { info, writer, release: (finish) => this.#release(info.streamId, writer, finish) }
  }

  async #release(
    streamId: StreamId,
    writer: FragmentWriter,
    finish: () => Promise<void>,
  ): Promise<void> {
    const closing = (async () => {
      try {
        await finish()
      } finally {
        await writer[Symbol.asyncDispose]()
      }
    })()
    const settled = closing.then(
      () => undefined,
      () => undefined,
    )
    this.#closing.set(streamId, settled)
    try {
      await closing
    } finally {
      if (this.#closing.get(streamId) === settled) this.#closing.delete(streamId)
    }
  }
}

export type StreamClaim = {
  readonly info: StreamInfo
  readonly writer: FragmentWriter
  /** Runs `finish`, then closes the writer; whoever claims the stream meanwhile waits. */
  readonly release: (finish: () => Promise<void>) => Promise<void>
}
