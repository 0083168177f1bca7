// The project's film as a producer sends it: GOPs of two seconds, of which each video sample is filled up
// with filler NAL units to a wanted size, so that it can be decoded at any bit rate.
import { fileURLToPath } from 'node:url'
import {
  clusterStart,
  concat,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../dist/media/matroska/writer.js'
import { openMediaFile } from '../../dist/platform/av.js'

const FILM = fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url))

/** @returns the Matroska header, the video track, and GOPs of samples with times in milliseconds */
export async function readFilm() {
  const file = await openMediaFile(FILM)
  const tracks = file.tracks.map((track) => ({ ...track, timescale: 1000 }))
  const gops = []
  for await (const { trackNumber, pts, isKey, data } of file.samples()) {
    const { kind, timescale } = file.tracks[trackNumber - 1]
    if (kind === 'video' && isKey) gops.push([])
    if (gops.length === 0) continue
    gops.at(-1).push({ trackNumber, ptsMs: Math.round((pts * 1000) / timescale), isKey, data })
  }
  await file[Symbol.asyncDispose]()
  return { header: toMatroskaHeader(tracks), track: tracks[0], gops, lengthMs: gops.length * 2000 }
}

/** The Clusters of a film that goes round and round. */
export function* fragments({ gops, lengthMs }, { count, startMs, videoSampleBytes = 0 }) {
  for (let i = 0; i < count; i++) {
    const gop = gops[i % gops.length]
    const shiftMs = startMs + Math.floor(i / gops.length) * lengthMs
    const atMs = gop[0].ptsMs + shiftMs
    yield concat([
      clusterStart(atMs),
      ...gop.flatMap((sample) => blockOf(sample, sample.ptsMs + shiftMs - atMs, videoSampleBytes)),
    ])
  }
}

export function blockOf({ trackNumber, isKey, data }, relativeMs, videoSampleBytes, note = '') {
  const payload = trackNumber === 1 ? filled(data, videoSampleBytes, note) : data
  return [
    simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength: payload.length }),
    payload,
  ]
}

/** ITU-T H.264 §7.3.2.7: filler_data_rbsp, ff_byte until the trailing bits. */
function filled(data, sampleBytes, note) {
  const room = sampleBytes - data.length - 6 - note.length
  if (room < 0) return data
  const filler = Buffer.alloc(6 + note.length + room, 0xff)
  filler.writeUInt32BE(filler.length - 4)
  filler[4] = 12
  filler.write(note, 5, 'latin1')
  filler[filler.length - 1] = 0x80
  return concat([data, filler])
}
