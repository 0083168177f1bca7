import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * Makes one read out of many. Encoders write every message by itself, some its header and its payload
 * apart; a stream then costs 90 wake-ups, system calls and TCP acknowledgements a second, which was
 * most of what a stream cost. A paced socket is left alone until the next tick, which all sockets of
 * a server share, and is then read once.
 *
 * Only for sockets with a `highWaterMark` of {@link PACED_HIGH_WATER_MARK}: what is read after
 * `pause` and before the tick then waits in the socket, and nothing is read behind it.
 */
export class ReadPacer {
  #paused: PacedReader[] = []
  #tickMs = MIN_TICK_MS
  #timer: NodeJS.Timeout | null = null

  /**
   * Pauses a flowing socket until the next tick, unless `bytes` say that its peer is in a hurry. Never
   * with TLS: there a read is one record, often of a single message, however much has come.
   */
  pace(reader: PacedReader, bytes: number): void {
    if (bytes >= HURRY_BYTES || reader.socket instanceof TLSSocket) return
    reader.socket.pause()
    this.#paused.push(reader)
    // Not by the Clock: when bytes are fetched from the system is no time that anybody is told.
    this.#timer ??= setTimeout(() => this.#tick(), this.#tickMs)
  }

  #tick(): void {
    this.#timer = null
    const paused = this.#paused
    this.#paused = []
    this.#tickMs = tickMsFor(paused.length)
    for (const { socket, mayRead } of paused) if (mayRead()) socket.resume()
  }
}

export type PacedReader = {
  readonly socket: Socket
  /** Whether the socket may flow again; something else may hold it back meanwhile. */
  readonly mayRead: () => boolean
}

/** Bytes that a socket holds before it stops reading while it does not flow. */
export const PACED_HIGH_WATER_MARK = 1

/**
 * Media is up to two of these late: what was read at one tick is handled at the next one. Far below
 * the second after which media reaches the disk.
 */
const MIN_TICK_MS = 40
const MAX_TICK_MS = 100

/** Of all sockets of a server together, until the longest tick is reached. */
const READS_PER_SECOND = 400

/** Reading was half of what a stream costs: the more streams there are, the less often each is read. */
export function tickMsFor(sockets: number): number {
  const wantedMs = (sockets * 1000) / READS_PER_SECOND
  return Math.min(Math.max(wantedMs, MIN_TICK_MS), MAX_TICK_MS)
}

/** A peer with so much in one read sends faster than ticks can take it: uploads, key frames. */
const HURRY_BYTES = 32 * 1024
