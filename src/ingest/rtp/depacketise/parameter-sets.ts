/** A stream's parameter sets of one type, by their ids; those in the media replace those in the SDP. */
export class ParameterSets<Parsed> {
  readonly #sets = new Map<number, ParameterSet<Parsed>>()
  #areInBand = false

  get size(): number {
    return this.#sets.size
  }

  get(id: number): ParameterSet<Parsed> | undefined {
    return this.#sets.get(id)
  }

  /** The one with this id, or any. */
  pick(id: number | null): ParameterSet<Parsed> | undefined {
    const known = id === null ? undefined : this.#sets.get(id)
    return known ?? this.#sets.values().next().value
  }

  /**
   * @param bytes the NAL unit; copied when it is kept
   * @returns whether anything changed
   */
  put(id: number, bytes: Uint8Array, parsed: Parsed, isInBand: boolean): boolean {
    if (isInBand && !this.#areInBand) {
      this.#areInBand = true
      for (const known of [...this.#sets.keys()]) if (known !== id) this.#sets.delete(known)
    }
    const known = this.#sets.get(id)
    if (known !== undefined && Buffer.compare(known.bytes, bytes) === 0) return false
    this.#sets.set(id, { id, bytes: Uint8Array.from(bytes), parsed })
    return true
  }

  /** All, `first` before the others, the others by id. */
  inOrder(first: number | null): readonly Uint8Array[] {
    const rank = (id: number) => (id === first ? -1 : id)
    return [...this.#sets.values()]
      .sort((a, b) => rank(a.id) - rank(b.id))
      .map(({ bytes }) => bytes)
  }
}

export type ParameterSet<Parsed> = {
  readonly id: number
  readonly bytes: Uint8Array
  readonly parsed: Parsed
}

/** Longer than any that means something: what is larger is not kept. */
export const MAX_PARAMETER_SET_BYTES = 4096
