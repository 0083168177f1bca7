import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import type { Track } from '../../../src/domain/track.ts'
import { encodeImages } from '../../../src/playback/image/encode-images.ts'
import type { ImageCall } from '../../../src/playback/image/image-call.ts'
import { demux } from '../support/demux.ts'
import { firstGroups, without } from '../support/record.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))

let track: Track
/** The first GOP in decode order. */
let gop: ImageCall['samples']
/** Times of its pictures, in order. */
let times: readonly number[]

beforeAll(async () => {
  const film = firstGroups(without('audio', await demux(FIXTURE)), 1)
  track = film.tracks[0]!
  gop = film.packets.map(({ ptsMs, isKey, data }) => ({
    ...{ ptsMs: Math.round(ptsMs), isKey, data: new Uint8Array(data) },
  }))
  times = gop.map(({ ptsMs }) => ptsMs).toSorted((a, b) => a - b)
})

const encode = (samples: ImageCall['samples'], frames: readonly number[]) =>
  encodeImages({
    ...{ track, samples, frames, maxBytes: 1e9 },
    style: { format: 'jpeg', quality: 80, size: { widthPx: 64, heightPx: null, limit: 'none' } },
  })
const timesOf = (images: Awaited<ReturnType<typeof encode>>) =>
  images.map((image) => image?.frameMs ?? null)

test('gives the wanted frames in order', async () => {
  const wanted = [times[0]!, times[7]!, times[29]!]

  expect(timesOf(await encode(gop, wanted))).toEqual(wanted)
})

test('in place of frames that cannot be decoded, the last whole one before them', async () => {
  // What is no NAL unit at all gives no picture.
  const lost = new Set(gop.slice(20).map(({ ptsMs }) => ptsMs))
  const damaged = gop.map((sample) =>
    lost.has(sample.ptsMs) ? { ...sample, data: Uint8Array.of(0, 0, 0, 1, 0) } : sample,
  )
  const whole = times.filter((time) => !lost.has(time))
  const wanted = [times[3]!, times[28]!, times[29]!]

  const images = await encode(damaged, wanted)

  const lastBefore = (time: number) => whole.findLast((each) => each <= time)
  expect(timesOf(images)).toEqual(wanted.map(lastBefore))
})

test('none, when none can be decoded', async () => {
  const noise = gop.map((sample) => ({ ...sample, data: sample.data.map((byte) => byte ^ 0x5a) }))

  await expect(encode(noise, [times[3]!])).rejects.toMatchObject({ kind: 'malformed-media' })
})
