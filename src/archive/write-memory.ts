const SLAB_BYTES = 16 * 1024

/** Of 16 MiB; more than this waits for the disk only when it is slow. */
const MAX_SPARE_SLABS = 1024

/** Parts from this length on go into a write call as they are: copying them would cost more. */
const DIRECT_BYTES = 4096

/** Memory that small elements are copied into until they are written, used again afterwards. */
export class WriteMemory {
  readonly #spare: Uint8Array[] = []

  take(): Uint8Array {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
  }

  giveBack(slabs: readonly Uint8Array[]): void {
    for (const slab of slabs) if (this.#spare.length < MAX_SPARE_SLABS) this.#spare.push(slab)
  }
}

/**
 * Bytes that are to be written behind one another. A fragment comes as hundreds of parts, most of
 * them block heads and audio frames: small neighbours become one, since each part costs the system
 * call and the checksum as much as some hundred bytes.
 */
export class GatheredBytes {
  readonly #memory: WriteMemory
  readonly #parts: Uint8Array[] = []
  readonly #slabs: Uint8Array[] = []
  #slab: Uint8Array | null = null
  /** Where in the last slab the small parts begin that are not in {@link parts} yet. */
  #runStart = 0
  #runEnd = 0
  #byteLength = 0

  constructor(memory: WriteMemory) {
    this.#memory = memory
  }

  get byteLength(): number {
    return this.#byteLength
  }

  add(part: Uint8Array): void {
    this.#byteLength += part.length
    if (part.length >= DIRECT_BYTES) {
      this.#endRun()
      this.#parts.push(part)
      return
    }
    if (this.#slab === null || this.#runEnd + part.length > SLAB_BYTES) this.#addSlab()
    this.#slab!.set(part, this.#runEnd)
    this.#runEnd += part.length
  }

  /** Good until {@link release}. */
  get parts(): readonly Uint8Array[] {
    this.#endRun()
    return this.#parts
  }

  /** Nobody reads its parts any more, and nothing is added. */
  release(): void {
    this.#memory.giveBack(this.#slabs)
    this.#slabs.length = 0
  }

  #addSlab(): void {
    this.#endRun()
    this.#slab = this.#memory.take()
    this.#slabs.push(this.#slab)
    this.#runStart = 0
    this.#runEnd = 0
  }

  #endRun(): void {
    if (this.#runEnd === this.#runStart) return
    this.#parts.push(this.#slab!.subarray(this.#runStart, this.#runEnd))
    this.#runStart = this.#runEnd
  }
}
