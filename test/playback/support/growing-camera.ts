import type { Archive, FragmentWriter } from '../../../src/archive/index.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import {
  clusterStart,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import type { DemuxedFile, DemuxedPacket } from './demux.ts'
import { toGroups } from './record.ts'

/** A camera that writes a file's fragments sample by sample, as ingest does. */
export class GrowingCamera implements AsyncDisposable {
  readonly groups: readonly (readonly DemuxedPacket[])[]
  readonly #file: DemuxedFile
  /** Wall time of the file's beginning. */
  readonly startMs: number
  readonly #writer: FragmentWriter
  #earliestMs = 0
  #fragments = 0

  private constructor(file: DemuxedFile, startMs: number, writer: FragmentWriter) {
    this.#file = file
    this.startMs = startMs
    this.#writer = writer
    this.groups = toGroups(file)
  }

  static async open(
    file: DemuxedFile,
    options: { readonly archive: Archive; readonly streamId: StreamId; readonly startMs: number },
  ): Promise<GrowingCamera> {
    const writer = await options.archive.openWriter(options.streamId)
    return new GrowingCamera(file, options.startMs, writer)
  }

  begin(group: readonly DemuxedPacket[]): void {
    const { tracks } = this.#file
    this.#earliestMs = Math.min(...group.map(({ ptsMs }) => this.#toWall(ptsMs)))
    this.#writer.begin({
      header: toMatroskaHeader(tracks),
      tracks,
      producerTimestamp: epochMs(this.#earliestMs),
      serverTimestamp: systemClock.now(),
      discontinuity: this.#fragments++ === 0,
      startsWithKey: group[0]!.isKey,
    })
    this.#writer.append([clusterStart(this.#earliestMs)], this.#info(0, this.#earliestMs))
  }

  write({ trackNumber, ptsMs, durationMs, isKey, data }: DemuxedPacket): void {
    const relativeMs = this.#toWall(ptsMs) - this.#earliestMs
    const head = simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength: data.length })
    this.#writer.append([head, data], this.#info(1, this.#toWall(ptsMs + durationMs)))
  }

  /** Resolves when it is persisted. */
  end() {
    return this.#writer.end(null)
  }

  /** Whole fragments at once. */
  async store(groups: readonly (readonly DemuxedPacket[])[]): Promise<void> {
    for (const group of groups) {
      this.begin(group)
      for (const packet of group) this.write(packet)
      await this.end()
    }
  }

  /** At the pace of the wall clock, until the signal aborts. */
  async live(groups: readonly (readonly DemuxedPacket[])[], signal: AbortSignal): Promise<void> {
    const ends: Promise<unknown>[] = []
    for (const group of groups) {
      this.begin(group)
      for (const packet of group) {
        const dueMs = this.startMs + packet.dtsMs - systemClock.now()
        if (dueMs > 1) await systemClock.sleep(dueMs, signal)
        this.write(packet)
      }
      ends.push(this.end())
    }
    await Promise.all(ends)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }

  #toWall(ms: number): number {
    return this.startMs + Math.round(ms)
  }

  #info(samples: number, endMs: number) {
    return { samples, producerEnd: epochMs(endMs), arrivedAt: systemClock.now() }
  }
}
