import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Track } from '../../../src/domain/track.ts'
import { openMediaFile, toRgb24, VideoDecoder, type CodedSample } from '../../../src/platform/av.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))

let track: Track
let samples: CodedSample[]
let gops: CodedSample[][]

beforeAll(async () => {
  await using file = await openMediaFile(FIXTURE)
  track = file.tracks[0]!
  samples = []
  for await (const { trackNumber, pts, isKey, data } of file.samples()) {
    if (trackNumber !== track.number) continue
    samples.push({ ptsMs: Math.round((pts * 1000) / track.timescale), isKey, data })
  }
  gops = []
  for (const sample of samples) {
    if (sample.isKey) gops.push([])
    gops.at(-1)!.push(sample)
  }
})

/** Times only: a frame's memory does not outlive the loop. */
function timesOf(decoder: VideoDecoder, coded: readonly CodedSample[]): number[] {
  const times: number[] = []
  for (const { ptsMs } of decoder.decode(coded)) times.push(ptsMs)
  return times
}

const inOrder = (coded: readonly CodedSample[]) =>
  coded.map(({ ptsMs }) => ptsMs).sort((a, b) => a - b)

test('the file tells its tracks', async () => {
  await using file = await openMediaFile(FIXTURE)

  expect(file.tracks).toMatchObject([
    {
      number: 1,
      kind: 'video',
      codecId: 'V_MPEG4/ISO/AVC',
      video: { widthPx: 640, heightPx: 360 },
    },
    { number: 2, kind: 'audio', codecId: 'A_AAC', audio: { sampleRateHz: 44_100, channels: 1 } },
  ])
  expect(file.tracks[0]!.codecPrivate[0]).toBe(1) // avcC configurationVersion
})

test('a file that is none is refused', async () => {
  await expect(openMediaFile(fileURLToPath(import.meta.url))).rejects.toMatchObject({
    kind: 'malformed-media',
    code: 'UnreadableMediaFile',
  })
})

test('every fragment gives all of its frames, in presentation order, before the next one', () => {
  using decoder = new VideoDecoder(track)

  expect(gops).toHaveLength(6)
  expect(samples.some((sample, i) => i > 0 && sample.ptsMs < samples[i - 1]!.ptsMs)).toBe(true)
  for (const gop of gops) expect(timesOf(decoder, gop)).toEqual(inOrder(gop))
})

test('times of epoch size come back exactly', () => {
  using decoder = new VideoDecoder(track)
  const shifted = gops[0]!.map((s) => ({ ...s, ptsMs: s.ptsMs + 1_790_000_000_000 }))

  expect(timesOf(decoder, shifted)).toEqual(inOrder(shifted))
})

test('a fragment that follows another one on another day does not remember it', () => {
  using decoder = new VideoDecoder(track)
  timesOf(decoder, gops[3]!)

  expect(timesOf(decoder, gops[0]!)).toEqual(inOrder(gops[0]!))
})

test('a caller that stops in the middle does not spoil the next fragment', () => {
  using decoder = new VideoDecoder(track)
  for (const frame of decoder.decode(gops[0]!)) if (frame.ptsMs > 500) break

  expect(timesOf(decoder, gops[1]!)).toEqual(inOrder(gops[1]!))
})

test('a frame holds the picture', () => {
  using decoder = new VideoDecoder(track)
  const [first] = gops[0]!

  for (const frame of decoder.decode([first!])) {
    const image = toRgb24(frame.picture, { widthPx: 320, heightPx: 180 })
    expect([image.widthPx, image.heightPx, image.bytes.length]).toEqual([320, 180, 320 * 180 * 3])
    // The sky over the house is blue, the lawn below is green.
    const at = (x: number, y: number) => [...image.bytes.subarray((y * 320 + x) * 3).slice(0, 3)]
    const [skyRed, , skyBlue] = at(10, 10)
    const [lawnRed, lawnGreen, lawnBlue] = at(150, 165)
    expect(skyBlue! - skyRed!).toBeGreaterThan(30)
    expect(lawnGreen!).toBeGreaterThan(Math.max(lawnRed!, lawnBlue!))
  }
})

describe('hostile input', () => {
  const isMalformed = { name: 'ServiceError', kind: 'malformed-media' }
  const random = (length: number, seed: number) => {
    let state = seed
    return Uint8Array.from(
      { length },
      () => (state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff) >> 16,
    )
  }

  test.each([
    { rule: 'an unknown codec', change: { codecId: 'V_UNHEARD_OF' }, code: 'UnsupportedCodec' },
    {
      rule: 'parameter sets of noise',
      change: { codecPrivate: random(60, 3) },
      code: /InvalidCodecConfiguration|UndecodableMedia/,
    },
    {
      rule: 'parameter sets that are cut off',
      change: { codecPrivate: Uint8Array.of(1, 100, 0, 31, 255, 225, 0, 200, 103) },
      code: /InvalidCodecConfiguration|UndecodableMedia/,
    },
  ])('$rule', ({ change, code }) => {
    const run = () => {
      using decoder = new VideoDecoder({ ...track, ...change })
      timesOf(
        decoder,
        gops[0]!.map((s) => ({ ...s, data: random(s.data.length, 9) })),
      )
    }
    expect(run).toThrow(
      expect.objectContaining({
        ...isMalformed,
        code: typeof code === 'string' ? code : (expect.stringMatching(code) as string),
      }),
    )
  })

  test('samples of noise give an error and leave the decoder usable', () => {
    using decoder = new VideoDecoder(track)
    const noise = gops[0]!.map((s, i) => ({ ...s, data: random(400, i + 1) }))

    expect(() => timesOf(decoder, noise)).toThrow(
      expect.objectContaining({ ...isMalformed, code: 'UndecodableMedia' }),
    )
    expect(timesOf(decoder, gops[1]!)).toEqual(inOrder(gops[1]!))
  })

  test('a broken sample in the middle costs no more than the frames that refer to it', () => {
    using decoder = new VideoDecoder(track)
    const gop = gops[0]!
    const broken = gop.map((s, i) => (i === 20 ? { ...s, data: random(50, 5) } : s))

    const times = timesOf(decoder, broken)

    expect(times.length).toBeGreaterThanOrEqual(15)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(timesOf(decoder, gops[1]!)).toEqual(inOrder(gops[1]!))
  })

  test('samples cut off anywhere do no harm', () => {
    using decoder = new VideoDecoder(track)
    const [key] = gops[0]!
    for (let length = 0; length < 600; length += 7) {
      const cut = { ...key!, data: key!.data.slice(0, length) }
      try {
        timesOf(decoder, [cut])
      } catch (error) {
        expect(error).toMatchObject(isMalformed)
      }
    }
    expect(timesOf(decoder, gops[1]!)).toEqual(inOrder(gops[1]!))
  })
})
