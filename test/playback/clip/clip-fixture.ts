import { createFile, MP4BoxBuffer, type ISOFile } from 'mp4box'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Archive } from '../../../src/archive/index.ts'
import type { StreamId } from '../../../src/domain/stream.ts'
import { createClips, type ClipRange, type ClipsOptions } from '../../../src/playback/index.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { demux, type DemuxedFile, type DemuxedPacket } from '../support/demux.ts'

export const CLIP_START_MS = 1_790_000_000_000
const NEVER = new AbortController().signal

export type MadeClip = {
  readonly durationMs: number
  readonly bytes: Buffer
  readonly leftOut: readonly string[]
  /** Bytes of the largest part. */
  readonly largestPart: number
  /** As FFmpeg reads it. */
  readonly demuxed: () => Promise<DemuxedFile>
  readonly path: () => Promise<string>
}

/** The whole clip of a range of producer time. */
export async function makeClip(
  archive: Archive,
  streamId: StreamId,
  range: Partial<ClipRange> = {},
  options: Pick<ClipsOptions, 'limits' | 'source'> = {},
): Promise<MadeClip> {
  const leftOut: string[] = []
  const clips = createClips({
    archive,
    ...options,
    onLeftOut: ({ fragmentNumber }) => leftOut.push(fragmentNumber),
  })
  const wanted: ClipRange = { by: 'producer', from: 0, to: CLIP_START_MS * 2, ...range }
  const { durationMs, parts } = await clips.open(streamId, wanted, NEVER)
  const all: Uint8Array[] = []
  for await (const { bytes } of parts) all.push(bytes)
  const bytes = Buffer.concat(all)
  const path = async () => {
    const file = join(await scratchDirectory(), 'clip.mp4')
    writeFileSync(file, bytes)
    return file
  }
  return {
    ...{ durationMs, bytes, leftOut, path },
    largestPart: Math.max(...all.map(({ length }) => length)),
    demuxed: async () => demux(await path()),
  }
}

/** What mp4box, which is not ours, reads. */
export function readMp4(bytes: Uint8Array): ISOFile {
  const file = createFile()
  const buffer = MP4BoxBuffer.fromArrayBuffer(Uint8Array.from(bytes).buffer, 0)
  file.appendBuffer(buffer)
  file.flush()
  return file
}

/** A track's packets: when they are shown, and what is in them. */
export function shown(file: DemuxedFile, kind: 'video' | 'audio', fromMs = 0) {
  const { number } = file.tracks.find((track) => track.kind === kind)!
  return file.packets
    .filter(({ trackNumber }) => trackNumber === number)
    .map(({ ptsMs, isKey, data }) => ({ ptsMs: ptsMs - fromMs, isKey, data: Buffer.from(data) }))
}

/** The latest end of what is shown, in milliseconds. */
export function endOf(packets: readonly DemuxedPacket[]): number {
  return Math.max(...packets.map(({ ptsMs, durationMs }) => ptsMs + durationMs))
}
