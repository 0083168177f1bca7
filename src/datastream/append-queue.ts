import { ServiceError } from '../domain/errors.ts'
import { createDeferred, type Deferred } from '../platform/deferred.ts'
import { encodeRecord, recordSize, type RecordPlace } from './record-format.ts'
import type { LogEntryToAppend } from './shard-log.ts'

/** A batch that waits for the disk, and whoever waits for it. */
export type Waiting = Deferred<{ readonly first: number; readonly last: number }> & {
  readonly batch: readonly LogEntryToAppend[]
  readonly sizeBytes: number
}

/** One write takes at most this much, unless a single batch is larger. */
const MAX_GROUP_BYTES = 8 * 1024 * 1024
const NO_BYTES = Buffer.alloc(0)

/** Batches that wait to be written, in groups; bounded by their bytes: beyond, a batch is refused. */
export class AppendQueue {
  readonly #maxBytes: number
  readonly #waiting: Waiting[] = []
  #bytes = 0
  /** Groups are put together here while there are any. */
  #groupBytes: Buffer = NO_BYTES

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** @throws `unavailable`/`LogQueueFull`, `invalid-argument`/`RecordTooLarge` */
  add(batch: readonly LogEntryToAppend[]): Waiting {
    if (batch.length === 0) throw new RangeError('an empty batch has no first index')
    const sizeBytes = batch.reduce((sum, entry) => sum + recordSize(entry), 0)
    if (this.#bytes > 0 && this.#bytes + sizeBytes > this.#maxBytes) {
      throw new ServiceError('unavailable', 'LogQueueFull', 'The disk is slower than the writers.')
    }
    const waiting = { ...createDeferred<{ first: number; last: number }>(), batch, sizeBytes }
    this.#waiting.push(waiting)
    this.#bytes += sizeBytes
    return waiting
  }

  /** The group's batches wait no more. */
  release(group: readonly Waiting[]): void {
    this.#bytes -= sizeOf(group)
    if (this.isEmpty) this.#groupBytes = NO_BYTES
  }

  /** The group as it is written, good until the next one, and the size of each record. */
  encode(group: readonly Waiting[], place: RecordPlace) {
    return encodeGroup(group, this.#roomFor(group), place)
  }

  #roomFor(group: readonly Waiting[]): Buffer {
    const sizeBytes = sizeOf(group)
    if (this.#groupBytes.length < sizeBytes) {
      this.#groupBytes = Buffer.allocUnsafeSlow(sizeBytes)
    }
    return this.#groupBytes.subarray(0, sizeBytes)
  }

  /** All that waits, up to the size of one write. */
  takeGroup(): readonly Waiting[] {
    let bytes = 0
    const beyond = this.#waiting.findIndex((waiting, i) => {
      bytes += waiting.sizeBytes
      return i > 0 && bytes > MAX_GROUP_BYTES
    })
    return this.#waiting.splice(0, beyond < 0 ? this.#waiting.length : beyond)
  }
}

function sizeOf(group: readonly Waiting[]): number {
  return group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

function encodeGroup(
  group: readonly Waiting[],
  bytes: Buffer,
  { index: firstIndex, salt }: RecordPlace,
) {
  const sizes: number[] = []
  let offset = 0
  for (const { batch } of group) {
    for (const entry of batch) {
      const end = encodeRecord(bytes, offset, entry, {
        index: firstIndex + sizes.length,
        startsGroup: sizes.length === 0,
        salt,
      })
      sizes.push(end - offset)
      offset = end
    }
  }
  return { bytes, sizes }
}
