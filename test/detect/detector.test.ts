import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { openDetector, type Detector, type FragmentDetections } from '../../src/detect/index.ts'
import type { Box } from '../../src/domain/detection.ts'
import { silentLog } from '../../src/observe/log.ts'
import { untilTestEnds } from '../support/scratch.ts'
import {
  readMedia,
  sharedFile,
  STARTED_AT,
  toFragment,
  toFragments,
  type ReadMedia,
} from './support/archived-file.ts'

const MOTION = fileURLToPath(new URL('../../models/kinora-motion', import.meta.url))
const FIXTURE = fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url))
const never = new AbortController().signal

let film: ReadMedia
beforeAll(async () => {
  film = await readMedia(FIXTURE)
})

async function open(
  options: { framesPerSecond?: number; workers?: number } = {},
): Promise<Detector> {
  return untilTestEnds(
    await openDetector(
      { modelDirectory: MOTION, framesPerSecond: 5, workers: 1, ...options },
      { log: silentLog },
    ),
  )
}

async function detectAll(
  detector: Detector,
  media: ReadMedia,
  options: { cutEvery?: number; streamId?: string } = {},
): Promise<readonly FragmentDetections[]> {
  const results: FragmentDetections[] = []
  for (const fragment of toFragments(options.streamId ?? 'yard', media, options.cutEvery ?? 1)) {
    results.push(await detector.detect(fragment, never))
  }
  return results
}

const seconds = (timestamp: number) => (timestamp - STARTED_AT) / 1000
const centre = (box: Box) => [box.left + box.width / 2, box.top + box.height / 2] as const

describe("the fixture's film", () => {
  test('every mover is found where it is, and nothing else', async () => {
    const results = await detectAll(await open(), film)

    const frames = results.flatMap((result) => result.frames)
    expect(results.reduce((sum, { framesDecoded }) => sum + framesDecoded, 0)).toBe(180)
    expect(frames).toHaveLength(59) // 12 s at 5 fps, less the first: nothing to compare with
    const seen = frames.map(({ frameTimestamp, detections }) => ({
      at: seconds(frameTimestamp),
      boxes: detections.map(({ box }) => box),
    }))
    const during = (from: number, to: number) => seen.filter(({ at }) => at >= from && at < to)
    const within = (
      boxes: readonly Box[],
      left: number,
      top: number,
      right: number,
      bottom: number,
    ) =>
      boxes.some((box) => {
        const [x, y] = centre(box)
        return x > left && x < right && y > top && y < bottom
      })

    expect(during(0, 1).flatMap(({ boxes }) => boxes)).toEqual([])
    expect(during(10.7, 12).flatMap(({ boxes }) => boxes)).toEqual([])
    for (const { boxes } of during(1.4, 2.8)) expect(within(boxes, 0, 0.55, 0.6, 0.9)).toBe(true) // van
    for (const { boxes } of during(5, 6)) expect(within(boxes, 0.3, 0.55, 1, 0.9)).toBe(true) // leaves
    for (const { boxes } of during(3.8, 6.4)) expect(within(boxes, 0.5, 0.35, 1, 0.62)).toBe(true) // walker
    for (const { boxes } of during(7.8, 9.8)) expect(within(boxes, 0, 0.8, 1, 1)).toBe(true) // dog
    // Walker and dog move at once, far from each other: two boxes.
    for (const { boxes } of during(8.2, 9.8)) expect(boxes).toHaveLength(2)
    // While both rest, from 7.0 to 7.2 s, the yard is as quiet as an empty one.
    expect(during(7, 7.2).flatMap(({ boxes }) => boxes)).toEqual([])
  })

  test('the same frames and boxes, however the media is cut into fragments', async () => {
    const [whole, halves] = await Promise.all(
      [6, 1].map(async (cutEvery) => {
        const results = await detectAll(await open(), film, { cutEvery })
        return results.flatMap(({ frames }) =>
          frames.map(({ frameTimestamp, detections }) => ({ frameTimestamp, detections })),
        )
      }),
    )

    expect(halves).toEqual(whole)
  })

  test('streams do not see each other, also in one thread', async () => {
    const detector = await open()
    const alone = await detectAll(detector, film, { streamId: 'alone' })

    const [a, b] = await Promise.all([
      detectAll(detector, film, { streamId: 'a' }),
      detectAll(detector, film, { streamId: 'b', cutEvery: 2 }),
    ])

    const boxes = (results: readonly FragmentDetections[]) =>
      results.flatMap(({ frames }) => frames.map(({ detections }) => detections))
    expect(boxes(a)).toEqual(boxes(alone))
    expect(boxes(b)).toEqual(boxes(alone))
  })
})

test('after a discontinuity the first frame is compared with nothing', async () => {
  const detector = await open()
  const fragments = [...toFragments('yard', film)]
  await detector.detect(fragments[0]!, never)

  const continued = await detector.detect(fragments[1]!, never)
  const cut = await detector.detect({ ...fragments[2]!, discontinuity: true }, never)

  expect(continued.framesInferred).toBe(10)
  expect(cut.framesInferred).toBe(9)
})

test('boxes are fractions of the picture, inside it', async () => {
  const results = await detectAll(await open(), film)

  const detections = results.flatMap(({ frames }) => frames.flatMap((frame) => frame.detections))
  expect(detections.length).toBeGreaterThan(30)
  for (const { box, label, score } of detections) {
    expect(label).toBe('motion')
    expect(score).toBeGreaterThan(0)
    expect(score).toBeLessThanOrEqual(1)
    expect(Math.min(box.left, box.top)).toBeGreaterThanOrEqual(0)
    expect(box.left + box.width).toBeLessThanOrEqual(1 + 1e-9)
    expect(box.top + box.height).toBeLessThanOrEqual(1 + 1e-9)
  }
})

describe('what goes wrong stays with its fragment', () => {
  test.each([
    { rule: 'bytes that are no Matroska', change: (bytes: Uint8Array) => bytes.map(() => 0x55) },
    { rule: 'a fragment that is cut off', change: (bytes: Uint8Array) => bytes.slice(0, 900) },
    {
      rule: 'samples of noise',
      change: (bytes: Uint8Array) => bytes.map((b, i) => (i > 400 && i % 3 === 0 ? b ^ 0x5a : b)),
    },
  ])('$rule', async ({ change }) => {
    const detector = await open()
    const fragments = [...toFragments('yard', film)]
    await detector.detect(fragments[0]!, never)

    const outcome = await detector
      .detect({ ...fragments[1]!, bytes: change(fragments[1]!.bytes) }, never)
      .catch((error: unknown) => error)
    if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: 'malformed-media' })

    const next = await detector.detect(fragments[2]!, never)
    expect(next.framesDecoded).toBe(30)
  })

  test('a fragment without video', async () => {
    const detector = await open()
    const audio = film.tracks.filter(({ kind }) => kind === 'audio')
    const sounds = film.samples.filter(({ trackNumber }) => trackNumber === audio[0]!.number)

    await expect(
      detector.detect(toFragment('yard', audio, sounds, 0), never),
    ).rejects.toMatchObject({ kind: 'malformed-media', code: 'NoVideoTrack' })
  })

  test('an aborted call rejects with the reason', async () => {
    const detector = await open()
    const [fragment] = [...toFragments('yard', film)]
    const aborting = new AbortController()
    const running = detector.detect(fragment!, aborting.signal)

    aborting.abort(new Error('stopped'))

    await expect(running).rejects.toThrow('stopped')
    expect((await detector.detect(fragment!, never)).framesDecoded).toBe(30)
  })

  test('a closed detector is unavailable', async () => {
    const detector = await open()
    await detector[Symbol.asyncDispose]()

    const [fragment] = [...toFragments('yard', film)]
    await expect(detector.detect(fragment!, never)).rejects.toMatchObject({ kind: 'unavailable' })
  })
})

test('the bytes of the fragment stay with the caller', async () => {
  const detector = await open()
  const [fragment] = [...toFragments('yard', film)]
  const before = Buffer.from(fragment!.bytes)

  await detector.detect(fragment!, never)

  expect(fragment!.bytes.byteLength).toBe(before.length)
  expect(Buffer.from(fragment!.bytes).equals(before)).toBe(true)
})

const campus = sharedFile('media/vtest_tiodh.mp4')
const counter = sharedFile('media/intel_one-by-one-person-detection.mp4')

describe.skipIf(campus === null || counter === null)('real cameras', () => {
  const framesOf = async (path: string, untilSeconds: number) => {
    const media = await readMedia(path)
    const samples = media.samples.filter(({ ptsMs }) => seconds(ptsMs) < untilSeconds)
    const results = await detectAll(await open(), { ...media, samples })
    return results.flatMap(({ frames }) => frames)
  }

  test('people who walk over a campus are found; the lawn and the parked car are not', async () => {
    const frames = await framesOf(campus!, 30)

    const boxes = frames.flatMap(({ detections }) => detections.map(({ box }) => box))
    const perFrame = boxes.length / frames.length
    expect(perFrame).toBeGreaterThan(2)
    expect(perFrame).toBeLessThan(8)
    // Nobody crosses the lower left of the lawn, nor the roofs, in the first half minute.
    const still = boxes.filter((box) => {
      const [x, y] = centre(box)
      return (x < 0.35 && y > 0.7) || y < 0.06
    })
    expect(still.length / boxes.length).toBeLessThan(0.02)
  })

  test('an empty room is quiet between one person and the next', async () => {
    const frames = await framesOf(counter!, 50)

    const during = (from: number, to: number) =>
      frames.filter(({ frameTimestamp: t }) => seconds(t) >= from && seconds(t) < to)
    expect(during(0.2, 5).flatMap(({ detections }) => detections)).toEqual([])
    expect(during(45.6, 49).flatMap(({ detections }) => detections)).toEqual([])
    const busy = during(6, 8).filter(({ detections }) => detections.length > 0)
    expect(busy.length).toBeGreaterThan(5)
  })
})
