import type { ChunkStoreFile } from './chunk-store.ts'
import {
  encodeRow,
  ROW_BYTES,
  SIDECAR_HEADER_BYTES,
  sidecarHeader,
  type FragmentRow,
} from './fragment-row.ts'

/**
 * Rows that wait in memory, and the media that they are about, before the sidecar gets them: a start
 * after a crash reads so much of each open chunk at most, beside what was never persisted.
 */
const MAX_WAITING_ROWS = 16
const MAX_WAITING_BYTES = 8 * 1024 * 1024

/** What readers know the rows of a chunk that grows by. */
export type LiveRowFacts = {
  /** All of them; those before `waiting` are in the sidecar. */
  readonly fragments: number
  readonly lastCounter: number
  /** The last ones, encoded. */
  readonly waiting: readonly Uint8Array[]
}

/**
 * The rows of a chunk that grows: the oldest in its sidecar, the others in memory. They are written
 * together, because the chunk itself says all of it: see {@link closingRecord}. Rows are of fragments that
 * are on disk; the sidecar never knows more than the chunk.
 */
export class LiveRows {
  #written = 0
  #waiting: readonly Uint8Array[] = []
  #waitingBytes = 0
  #lastCounter = 0
  /** What changes rows does it one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  get count(): number {
    return this.#written + this.#waiting.length
  }

  get facts(): LiveRowFacts {
    return { fragments: this.count, lastCounter: this.#lastCounter, waiting: this.#waiting }
  }

  /** Enough wait that they should be written. */
  get areDue(): boolean {
    return this.#waiting.length >= MAX_WAITING_ROWS || this.#waitingBytes >= MAX_WAITING_BYTES
  }

  /** Where the sidecar ends when all of them are in it. */
  get sidecarBytes(): number {
    return SIDECAR_HEADER_BYTES + this.count * ROW_BYTES
  }

  add(rows: readonly FragmentRow[]): void {
    this.#waiting = [...this.#waiting, ...rows.map(encodeRow)]
    for (const { length, counter } of rows) {
      this.#waitingBytes += length
      this.#lastCounter = counter
    }
  }

  /** Puts what waits into the sidecar. What fails still waits. */
  writeTo(sidecar: ChunkStoreFile): Promise<void> {
    return this.#inTurn(async () => {
      const rows = this.#waiting
      const bytes = this.#waitingBytes
      if (rows.length === 0) return
      if (this.#written === 0) await sidecar.write([sidecarHeader(), ...rows], 0)
      else await sidecar.write(rows, SIDECAR_HEADER_BYTES + this.#written * ROW_BYTES)
      this.#written += rows.length
      this.#waiting = this.#waiting.slice(rows.length)
      this.#waitingBytes -= bytes
    })
  }

  /**
   * Puts other rows in the place of those that wait.
   *
   * @returns those that are in the sidecar already
   */
  replace<T extends RowInPlace>(changed: readonly T[]): Promise<readonly T[]> {
    return this.#inTurn(async () => {
      const waiting = [...this.#waiting]
      const isWaiting = ({ index }: T) => index >= this.#written
      for (const change of changed.filter(isWaiting)) {
        waiting[change.index - this.#written] = encodeRow(change.row)
      }
      this.#waiting = waiting
      return changed.filter((change) => !isWaiting(change))
    })
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action)
    this.#turn = turn.catch(() => undefined) // its caller sees the failure
    return turn
  }
}

/** A row and its place among the chunk's. */
export type RowInPlace = { readonly index: number; readonly row: FragmentRow }
