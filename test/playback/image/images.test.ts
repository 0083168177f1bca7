import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import {
  clusterStart,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { toRgb24, VideoDecoder } from '../../../src/platform/av.ts'
import { createImages, type Images } from '../../../src/playback/image/index.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { record, without } from '../support/record.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const START_MS = 1_790_000_000_000
const CAMERA = toStreamId('camera', 1)

let film: DemuxedFile
let temporary: TemporaryArchive
let images: Images

beforeAll(async () => {
  film = await demux(FIXTURE)
  temporary = await openTemporaryArchive()
  images = createImages({ archive: temporary.archive, workers: 1 })
  await record(film, { archive: temporary.archive, streamId: CAMERA, startMs: START_MS })
})
afterAll(async () => {
  await images[Symbol.asyncDispose]()
  await temporary[Symbol.asyncDispose]()
})

const videoOf = (file: DemuxedFile) => {
  const track = file.tracks.find(({ kind }) => kind === 'video')!
  return { track, packets: file.packets.filter((packet) => packet.trackNumber === track.number) }
}

/** Frame times on the wall, in order. */
function frameTimes(): number[] {
  const { packets } = videoOf(film)
  return packets.map(({ ptsMs }) => START_MS + Math.round(ptsMs)).sort((a, b) => a - b)
}

/** The pixels of every wanted frame by decoding the whole film from its start. */
function decodeAt(times: ReadonlySet<number>): Map<number, Uint8Array> {
  const { track, packets } = videoOf(film)
  using decoder = new VideoDecoder(track)
  const samples = packets.map(({ ptsMs, isKey, data }) => ({
    ptsMs: START_MS + Math.round(ptsMs),
    isKey,
    data,
  }))
  const found = new Map<number, Uint8Array>()
  for (const frame of decoder.decode(samples)) {
    if (times.has(frame.ptsMs)) found.set(frame.ptsMs, toRgb24(frame.picture).bytes)
  }
  return found
}

describe('the frame at or before an instant', () => {
  test('is exactly the one of a full decode, wherever it lies in its GOP', async () => {
    const times = frameTimes()
    const wanted = [0, 1, 2, 14, 29, 30, 31, 75, 119, 179].map((i) => times[i]!)
    const expected = decodeAt(new Set(wanted))

    for (const time of wanted) {
      const { bytes, frameTimestamp } = await images.imageAt(CAMERA, time, { format: 'png' })

      expect(frameTimestamp).toBe(time)
      const pixels = await sharp(bytes).removeAlpha().raw().toBuffer()
      expect(pixels.equals(expected.get(time)!), `frame of ${time - START_MS} ms`).toBe(true)
    }
  })

  test.each([
    { rule: 'just before the next', after: 10, plusMs: 60, frame: 10 },
    { rule: 'at the end of a fragment', after: 29, plusMs: 60, frame: 29 },
    { rule: 'after the last', after: 179, plusMs: 30_000, frame: 179 },
  ])('$rule', async ({ after, plusMs, frame }) => {
    const times = frameTimes()

    const found = await images.imageAt(CAMERA, times[after]! + plusMs, {
      format: 'jpeg',
      width: 64,
    })

    expect(found.frameTimestamp).toBe(times[frame])
  })

  test.each([
    { rule: 'before the first frame', stream: CAMERA, atMs: START_MS - 1 },
    { rule: 'more than a minute after the last', stream: CAMERA, atMs: START_MS + 12_000 + 61_000 },
    { rule: 'of a stream without media', stream: toStreamId('nobody', 1), atMs: START_MS },
  ])('there is none $rule', async ({ stream, atMs }) => {
    await expect(images.imageAt(stream, atMs, { format: 'jpeg' })).rejects.toMatchObject({
      kind: 'not-found',
      code: 'NoMedia',
    })
  })

  test('also in a GOP that was split over fragments', async () => {
    const streamId = toStreamId('split', 1)
    const video = without('audio', film)
    const firstGop = video.packets.slice(0, 30)
    const times = frameTimes()
    await using writer = await temporary.archive.openWriter(streamId)
    for (const [from, to] of [
      [0, 11],
      [11, 20],
      [20, 30],
    ] as const) {
      const part = firstGop.slice(from, to)
      const walls = part.map(({ ptsMs }) => START_MS + Math.round(ptsMs))
      const earliest = epochMs(Math.min(...walls))
      writer.begin({
        header: toMatroskaHeader(video.tracks),
        tracks: video.tracks,
        producerTimestamp: earliest,
        serverTimestamp: earliest,
        discontinuity: from === 0,
        startsWithKey: from === 0,
      })
      const blocks = part.flatMap(({ isKey, data, trackNumber }, i) => [
        simpleBlockHead({
          trackNumber,
          relativeMs: walls[i]! - earliest,
          isKey,
          payloadLength: data.length,
        }),
        data,
      ])
      const end = epochMs(Math.max(...walls) + 67)
      writer.append([clusterStart(earliest), ...blocks], {
        samples: part.length,
        producerEnd: end,
        arrivedAt: end,
      })
      await writer.end(null)
    }
    const expected = decodeAt(new Set([times[24]!]))

    const { bytes, frameTimestamp } = await images.imageAt(streamId, times[24]!, { format: 'png' })

    expect(frameTimestamp).toBe(times[24])
    const pixels = await sharp(bytes).removeAlpha().raw().toBuffer()
    expect(pixels.equals(expected.get(times[24]!)!)).toBe(true)
  })
})

describe('the image', () => {
  test.each([
    { options: { format: 'jpeg' }, expected: { format: 'jpeg', width: 640, height: 360 } },
    { options: { format: 'png' }, expected: { format: 'png', width: 640, height: 360 } },
    {
      options: { format: 'jpeg', width: 320 },
      expected: { format: 'jpeg', width: 320, height: 180 },
    },
    { options: { format: 'jpeg', width: 1920 }, expected: { width: 640, height: 360 } },
  ] as const)('$options', async ({ options, expected }) => {
    const { bytes } = await images.imageAt(CAMERA, START_MS + 3_000, options)

    expect(await sharp(bytes).metadata()).toMatchObject(expected)
  })

  test('costs fewer bytes at a lower quality', async () => {
    const at = (quality: number) =>
      images.imageAt(CAMERA, START_MS + 3_000, { format: 'jpeg', quality })

    expect((await at(30)).bytes.length).toBeLessThan((await at(90)).bytes.length)
  })

  test('equal questions at the same time get one answer', async () => {
    const ask = () => images.imageAt(CAMERA, START_MS + 5_000, { format: 'jpeg', width: 500 })

    const [first, second] = await Promise.all([ask(), ask()])
    const third = await ask()

    expect(second.bytes).toBe(first.bytes)
    expect(third.bytes).toBe(first.bytes)
  })

  test.each([
    { rule: 'a width of nothing', at: START_MS, options: { format: 'jpeg', width: 0 } },
    { rule: 'a width of half a pixel', at: START_MS, options: { format: 'jpeg', width: 99.5 } },
    { rule: 'a width beyond all screens', at: START_MS, options: { format: 'jpeg', width: 1e6 } },
    { rule: 'a quality above 100', at: START_MS, options: { format: 'jpeg', quality: 101 } },
    { rule: 'a time that is none', at: NaN, options: { format: 'jpeg' } },
  ] as const)('$rule is refused', async ({ at, options }) => {
    await expect(images.imageAt(CAMERA, at, options)).rejects.toMatchObject({
      kind: 'invalid-argument',
      code: 'InvalidImageOptions',
    })
  })
})

describe('several instants', () => {
  const style = {
    format: 'png',
    quality: 80,
    size: { widthPx: null, heightPx: null, limit: 'none' },
  } as const
  const never = new AbortController().signal
  const instants = [100, 200, 300, 2500, 2600].map((ms) => START_MS + ms)

  test('end where the bytes are full, after one at least, and go on from there', async () => {
    const ask = async (from: number, maxBytes: number) => {
      const own = createImages({ archive: temporary.archive, workers: 1 }) // with nothing kept
      const question = { by: 'producer', instants: instants.slice(from), style, maxBytes } as const
      const results = await own.imagesAt(CAMERA, question, never)
      await own[Symbol.asyncDispose]()
      return results
    }
    const timesOf = (results: Awaited<ReturnType<typeof ask>>) =>
      results.map(({ image }) => image!.frameTimestamp)

    const whole = await ask(0, 1e9)
    const few = await ask(0, 1)
    const rest = await ask(few.length, 1e9)

    expect(whole).toHaveLength(5)
    expect(few).toHaveLength(2) // the second is encoded beside the first
    expect([...timesOf(few), ...timesOf(rest)]).toEqual(timesOf(whole))
  })

  test('in one frame get one image', async () => {
    const own = createImages({ archive: temporary.archive, workers: 1 })
    const results = await own.imagesAt(
      CAMERA,
      {
        by: 'producer',
        instants: [0, 1, 2].map((ms) => START_MS + 500 + ms),
        style,
        maxBytes: 1e9,
      },
      never,
    )
    await own[Symbol.asyncDispose]()

    expect(new Set(results.map(({ image }) => image!.bytes)).size).toBe(1)
  })

  test('a caller who is gone gets nothing more', async () => {
    const question = { by: 'producer', instants, style, maxBytes: 1e9 } as const

    await expect(
      images.imagesAt(CAMERA, question, AbortSignal.abort(new Error('gone'))),
    ).rejects.toThrow('gone')
  })
})

describe('trouble', () => {
  test('media that cannot be decoded is malformed', async () => {
    const streamId = toStreamId('broken', 1)
    const noise = {
      ...film,
      packets: film.packets.map((packet) => ({
        ...packet,
        data: packet.data.map((b) => b ^ 0x5a),
      })),
    }
    await record(noise, { archive: temporary.archive, streamId, startMs: START_MS })

    await expect(
      images.imageAt(streamId, START_MS + 100, { format: 'jpeg' }),
    ).rejects.toMatchObject({ kind: 'malformed-media' })
  })

  test('more questions than the queue holds are refused, the others answered', async () => {
    const own = createImages({ archive: temporary.archive, workers: 1 })
    const asked = frameTimes()
      .slice(0, 60)
      .map((time) => own.imageAt(CAMERA, time, { format: 'png' }))

    const results = await Promise.allSettled(asked)
    await own[Symbol.asyncDispose]()

    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    expect(results.length - refused.length).toBeGreaterThanOrEqual(32)
    for (const result of refused) {
      expect(result).toMatchObject({ reason: { kind: 'unavailable', code: 'WorkerBusy' } })
    }
  })

  test('a closed one answers nobody', async () => {
    const own = createImages({ archive: temporary.archive, workers: 1 })
    await own.imageAt(CAMERA, START_MS, { format: 'png' })
    await own[Symbol.asyncDispose]()

    await expect(own.imageAt(CAMERA, START_MS + 999, { format: 'png' })).rejects.toMatchObject({
      kind: 'unavailable',
    })
  })
})
