import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { FragmentToDetect } from '../../../src/detect/index.ts'
import { toFragmentNumber } from '../../../src/domain/fragment.ts'
import { epochMs, type EpochMs } from '../../../src/domain/time.ts'
import type { Track } from '../../../src/domain/track.ts'
import {
  clusterStart,
  fragmentTags,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { openMediaFile } from '../../../src/platform/av.ts'

/** When the first frame of every test's media was taken. */
export const STARTED_AT = epochMs(1_790_000_000_000)

/** A file of the shared test data; `null`, with a printed reason, where there is none. */
export function sharedFile(path: string): string | null {
  const file = fileURLToPath(new URL(`../../../../shared/${path}`, import.meta.url))
  if (existsSync(file)) return file
  console.warn(`skipped: ${file} is not there`)
  return null
}

export type TimedSample = {
  readonly trackNumber: number
  readonly ptsMs: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

export type ReadMedia = {
  readonly tracks: readonly Track[]
  readonly samples: readonly TimedSample[]
}

/** A file's samples in decode order, on the wall clock from {@link STARTED_AT}. */
export async function readMedia(path: string): Promise<ReadMedia> {
  await using file = await openMediaFile(path)
  const timescales = new Map(file.tracks.map((track) => [track.number, track.timescale]))
  const samples: TimedSample[] = []
  for await (const { trackNumber, pts, isKey, data } of file.samples()) {
    const ptsMs = STARTED_AT + Math.round((pts * 1000) / timescales.get(trackNumber)!)
    samples.push({ trackNumber, ptsMs, isKey, data })
  }
  // Matroska's own ticks from here on, as the archive has them.
  return { tracks: file.tracks.map((track) => ({ ...track, timescale: 1000 })), samples }
}

/** Cuts at the video's key samples, and every `cutEvery`th of them only. */
export function* toFragments(
  streamId: string,
  media: ReadMedia,
  cutEvery = 1,
): Generator<FragmentToDetect> {
  const video = media.tracks.find(({ kind }) => kind === 'video')!
  const groups: TimedSample[][] = []
  let keys = 0
  for (const sample of media.samples) {
    const isCut = sample.trackNumber === video.number && sample.isKey && keys++ % cutEvery === 0
    if (isCut || groups.length === 0) groups.push([])
    groups.at(-1)!.push(sample)
  }
  for (const [i, samples] of groups.entries()) yield toFragment(streamId, media.tracks, samples, i)
}

/** One fragment as the archive keeps it: Tags, then a Cluster. */
export function toFragment(
  streamId: string,
  tracks: readonly Track[],
  samples: readonly TimedSample[],
  counter: number,
): FragmentToDetect {
  const producerTimestamp = epochMs(Math.min(...samples.map(({ ptsMs }) => ptsMs)))
  const serverTimestamp: EpochMs = producerTimestamp
  const fragmentNumber = toFragmentNumber({ counter: counter + 1, serverTimestamp, random28: 1 })
  const parts = [
    fragmentTags({ fragmentNumber, serverTimestamp, producerTimestamp }),
    clusterStart(producerTimestamp),
  ]
  for (const { trackNumber, ptsMs, isKey, data } of samples) {
    const relativeMs = ptsMs - producerTimestamp
    parts.push(
      simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength: data.length }),
      data,
    )
  }
  return {
    streamId,
    fragmentNumber,
    header: toMatroskaHeader(tracks),
    bytes: Buffer.concat(parts),
    tracks,
    producerTimestamp,
    discontinuity: counter === 0,
  }
}
