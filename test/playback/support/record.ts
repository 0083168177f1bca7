import type { Archive } from '../../../src/archive/index.ts'
import type { Fragment } from '../../../src/domain/fragment.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import {
  clusterStart,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import type { DemuxedFile, DemuxedPacket } from './demux.ts'

export type RecordOptions = {
  readonly archive: Archive
  readonly streamId: StreamId
  /** Wall time of the file's first presented sample. */
  readonly startMs: number
  /** It goes on where what is stored ends. */
  readonly continues?: boolean
}

/**
 * Stores a file as a camera's session would be: one fragment per GOP (or per second without video),
 * blocks in decode order, times in whole milliseconds.
 */
export async function record(
  { tracks, packets }: DemuxedFile,
  { archive, streamId, startMs, continues = false }: RecordOptions,
): Promise<readonly Fragment[]> {
  const header = toMatroskaHeader(tracks)
  const writer = await archive.openWriter(streamId)
  const fragments: Fragment[] = []
  const toWall = (ms: number) => epochMs(startMs + Math.round(ms))
  try {
    for (const group of toGroups({ tracks, packets })) {
      const starts = group.map(({ ptsMs }) => toWall(ptsMs))
      const earliest = epochMs(Math.min(...starts))
      const end = Math.max(...group.map(({ ptsMs, durationMs }) => toWall(ptsMs + durationMs)))
      writer.begin({
        header,
        tracks,
        producerTimestamp: earliest,
        serverTimestamp: earliest,
        discontinuity: fragments.length === 0 && !continues,
        startsWithKey: group[0]!.isKey,
      })
      const blocks = group.flatMap(({ trackNumber, isKey, data }, i) => [
        simpleBlockHead({
          trackNumber,
          relativeMs: starts[i]! - earliest,
          isKey,
          payloadLength: data.length,
        }),
        data,
      ])
      writer.append([clusterStart(earliest), ...blocks], {
        samples: group.length,
        producerEnd: epochMs(end),
        arrivedAt: epochMs(end),
      })
      fragments.push(await writer.end(null))
    }
  } finally {
    await writer[Symbol.asyncDispose]()
  }
  return fragments
}

/** Cuts before each key sample of the video, or each second of audio alone. */
export function toGroups({ tracks, packets }: DemuxedFile): readonly (readonly DemuxedPacket[])[] {
  const video = tracks.find((track) => track.kind === 'video')
  const groups: DemuxedPacket[][] = []
  for (const packet of packets) {
    const open = groups.at(-1)
    const cut =
      video === undefined
        ? packet.ptsMs >= groups.length * 1000
        : packet.trackNumber === video.number && packet.isKey
    if (open === undefined || (cut && open.length > 0)) groups.push([packet])
    else open.push(packet)
  }
  return groups
}

/** The file without one of its kinds of track. */
export function without(kind: 'audio' | 'video', file: DemuxedFile): DemuxedFile {
  const tracks = file.tracks.filter((track) => track.kind !== kind)
  const numbers = new Set(tracks.map((track) => track.number))
  return { tracks, packets: file.packets.filter((packet) => numbers.has(packet.trackNumber)) }
}

/** The file's first GOPs. */
export function firstGroups(file: DemuxedFile, count: number): DemuxedFile {
  return { tracks: file.tracks, packets: toGroups(file).slice(0, count).flat() }
}
