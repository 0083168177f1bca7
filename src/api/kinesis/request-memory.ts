import { BytePool } from '../../platform/byte-pool.ts'

/** Kept for requests to come: what about as many megabytes of puts have under way at once. */
const MAX_SPARE_BYTES = 32 * 1024 * 1024

/** The large pieces of memory of requests, used again by those that follow. */
export class RequestMemories {
  readonly #pool = new BytePool(MAX_SPARE_BYTES)

  /** In one piece, to be put into a {@link RequestMemory} by who gets it. */
  readonly join = (chunks: readonly Buffer[]): Buffer => this.#pool.gather(chunks)

  /** For a request with this body. */
  begin(body: Buffer): RequestMemory {
    return new RequestMemory(this.#pool, body)
  }
}

/**
 * What one request has in memory besides JavaScript's values. The operation has ended, well or not, when
 * it goes back: nothing may read it any more, so who keeps data of a request for longer copies it.
 */
export class RequestMemory {
  readonly #pool: BytePool
  readonly #pieces: Buffer[]

  constructor(pool: BytePool, body: Buffer) {
    this.#pool = pool
    this.#pieces = [body]
  }

  /** @returns as many bytes, with anything in them */
  take(byteLength: number): Buffer {
    const piece = this.#pool.take(byteLength)
    this.#pieces.push(piece)
    return piece
  }

  giveBack(): void {
    for (const piece of this.#pieces.splice(0)) this.#pool.giveBack(piece)
  }
}
