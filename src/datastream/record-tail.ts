import type { EpochMs } from '../domain/time.ts'
import type { ReadLimits, StoredRecord } from './data-streams.ts'

/** The newest records of a shard, up to so many bytes, in the order of their indexes. */
export class RecordTail {
  readonly #maxBytes: number
  #records: StoredRecord[] = []
  #first = 0
  #sizeBytes = 0
  /** What was read last: followers ask for the same, and can tell by the list that it is. */
  #read: { readonly from: number; readonly records: readonly StoredRecord[] } | null = null

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Records `first`, `first + 1`, …; those before are forgotten when they do not join. */
  add(first: number, records: readonly StoredRecord[]): void {
    if (first !== this.#first + this.#records.length) this.clear()
    if (this.#records.length === 0) this.#first = first
    for (const record of records) {
      this.#records.push(record)
      this.#sizeBytes += sizeOf(record)
    }
    let dropped = 0
    while (this.#sizeBytes > this.#maxBytes) this.#sizeBytes -= sizeOf(this.#records[dropped++]!)
    if (dropped > 0) this.#records = this.#records.slice(dropped)
    this.#first += dropped
  }

  clear(): void {
    this.#records = []
    this.#sizeBytes = 0
    this.#read = null
  }

  /**
   * Records from `index` on, at least one, the same list for the same records as far as possible; `null` when the first of them is not here or arrived
   * before `horizon`.
   */
  read(index: number, limits: ReadLimits, horizon: EpochMs): readonly StoredRecord[] | null {
    const from = index - this.#first
    if (from < 0 || from >= this.#records.length) return null
    const most = Math.min(this.#records.length, from + limits.maxRecords)
    let end = from
    for (let bytes = 0; end < most; end++) {
      const record = this.#records[end]!
      if (record.arrivedAt < horizon) break
      bytes += sizeOf(record)
      if (bytes > limits.maxBytes && end > from) break
    }
    if (end === from) return null
    if (this.#read?.from !== index || this.#read.records.length !== end - from) {
      this.#read = { from: index, records: this.#records.slice(from, end) }
    }
    return this.#read.records
  }
}

function sizeOf({ data, partitionKey }: StoredRecord): number {
  return data.byteLength + partitionKey.length
}
