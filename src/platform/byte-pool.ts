/** Blocks are powers of two up to 8 MiB; what is longer is left to the garbage collector. */
const MAX_BLOCK_BYTES = 8 * 1024 * 1024

/**
 * Memory for large pieces that live for moments, media above all, used again: fresh memory costs a page fault
 * for every 4 KiB and makes the garbage collector run all the time. What is not given back is
 * collected as any other memory is.
 */
export class BytePool {
  readonly #maxSpareBytes: number
  readonly #minBlockBytes: number
  readonly #spare = new Map<number, ArrayBuffer[]>()
  readonly #taken = new WeakSet<ArrayBufferLike>()
  #spareBytes = 0

  /**
   * @param maxSpareBytes kept for later use at most
   * @param minBlockBytes a power of two
   */
  constructor(maxSpareBytes: number, minBlockBytes = 64 * 1024) {
    this.#maxSpareBytes = maxSpareBytes
    this.#minBlockBytes = minBlockBytes
  }

  /** @returns as many bytes, with anything in them */
  take(byteLength: number): Buffer {
    const blockBytes = Math.max(this.#minBlockBytes, nextPowerOfTwo(byteLength))
    if (blockBytes > MAX_BLOCK_BYTES) return Buffer.allocUnsafeSlow(byteLength)
    let block = this.#spare.get(blockBytes)?.pop()
    if (block === undefined) block = Buffer.allocUnsafeSlow(blockBytes).buffer
    else this.#spareBytes -= blockBytes
    this.#taken.add(block)
    return Buffer.from(block, 0, byteLength)
  }

  /** Copies in one piece: sending hundreds of small parts one by one takes longer. */
  gather(parts: readonly Uint8Array[]): Buffer {
    const bytes = this.take(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  /**
   * Nobody reads or writes them any more. Bytes that were not taken here, or were given back before,
   * are left alone.
   */
  giveBack({ buffer: block }: Uint8Array): void {
    if (!this.#taken.delete(block)) return
    if (this.#spareBytes + block.byteLength > this.#maxSpareBytes) return
    this.#spareBytes += block.byteLength
    const spare = this.#spare.get(block.byteLength)
    if (spare === undefined) this.#spare.set(block.byteLength, [block as ArrayBuffer])
    else spare.push(block as ArrayBuffer)
  }
}

function nextPowerOfTwo(byteLength: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(byteLength, 1)))
}
