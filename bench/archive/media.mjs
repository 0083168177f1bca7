// A fragment as a camera of 2 Mbit/s makes it: 2 s, 50 pictures, a big first one, 94 audio frames.
import {
  clusterStart,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../dist/media/matroska/writer.js'

const video = {
  ...{ number: 1, kind: 'video', codecId: 'V_MPEG4/ISO/AVC', codecPrivate: new Uint8Array(40) },
  ...{ timescale: 1000, video: { widthPx: 1920, heightPx: 1080 }, audio: null },
}
const audio = {
  ...{ number: 2, kind: 'audio', codecId: 'A_AAC', codecPrivate: Uint8Array.of(0x11, 0x90) },
  ...{ timescale: 48_000, video: null, audio: { sampleRateHz: 48_000, channels: 2 } },
}
export const TRACKS = [video, audio]
export const HEADER = toMatroskaHeader(TRACKS)

/** What every fragment is made of, so that making it is not measured: one entry per sample. */
const SAMPLES = makeSamples()

function makeSamples() {
  const samples = []
  const add = (trackNumber, relativeMs, isKey, payloadLength) => {
    const head = simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength })
    samples.push({ relativeMs, parts: [head, Buffer.alloc(payloadLength, relativeMs)] })
  }
  for (let i = 0; i < 50; i++) add(1, i * 40, i === 0, i === 0 ? 90_000 : 8000)
  for (let i = 0; i < 94; i++) add(2, Math.floor((i * 1024) / 48), true, 300)
  return samples.sort((a, b) => a.relativeMs - b.relativeMs)
}

/** The same bytes as {@link writeTo} hands over. */
export function partsOf(now) {
  return [clusterStart(now), ...SAMPLES.flatMap(({ parts }) => parts)]
}

/** Through the writer, sample by sample; resolves with the fragment when it is persisted. */
export function writeTo(writer, now) {
  beginIn(writer, now)
  return writer.end(null)
}

/** All but the end. */
export function beginIn(writer, now) {
  writer.begin({
    ...{ header: HEADER, tracks: TRACKS, producerTimestamp: now, serverTimestamp: now },
    ...{ discontinuity: false, startsWithKey: true },
  })
  writer.append([clusterStart(now)], { samples: 0, producerEnd: now, arrivedAt: now })
  for (const { parts, relativeMs } of SAMPLES) {
    const at = now + relativeMs
    writer.append(parts, { samples: 1, producerEnd: at + 40, arrivedAt: at })
  }
}
