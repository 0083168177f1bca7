import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FrameDetector } from '../../src/detect/frame-detector.ts'
import { openDetector, resolveModel, type FragmentToDetect } from '../../src/detect/index.ts'
import { loadModel } from '../../src/detect/manifest.ts'
import type { Box, Detection } from '../../src/domain/detection.ts'
import { toSamples } from '../../src/media/matroska/scanner.ts'
import { silentLog } from '../../src/observe/log.ts'
import { rgb24Picture } from '../../src/platform/av.ts'
import { readMedia, sharedFile, STARTED_AT, toFragments } from './support/archived-file.ts'

const BUILT_IN = fileURLToPath(new URL('../../models', import.meta.url))

type GoldenDetection = {
  readonly label: string
  readonly score: number
  /** left, top, right, bottom in pixels */
  readonly box: readonly [number, number, number, number]
  readonly must: boolean
}
type GoldenFrame = {
  readonly index: number
  readonly ptsSeconds: number
  readonly png: string
  readonly width: number
  readonly height: number
  readonly detections: readonly GoldenDetection[]
}
type Golden = {
  readonly video: { readonly file: string; readonly frames: number }
  readonly frames: readonly GoldenFrame[]
}

const yolox = sharedFile('models/yolox_nano_416.onnx')
const nanodet = sharedFile('models/nanodet_m.onnx')
const goldenFiles = ['vtest', 'onebyone'].map((clip) => sharedFile(`golden/yolox_${clip}.json`))
const EMPTY_FRAMES = new Set(['onebyone 0', 'onebyone 450', 'onebyone 1380'])

const present = yolox !== null && nanodet !== null && !goldenFiles.includes(null)
const goldens: readonly (Golden & { readonly clip: string })[] = present
  ? await Promise.all(
      goldenFiles.map(async (path, i) => ({
        clip: ['vtest', 'onebyone'][i]!,
        ...(JSON.parse(await readFile(path!, 'utf8')) as Golden),
      })),
    )
  : []

let dataDirectory: string
beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'kinora-golden-'))
})
afterAll(async () => {
  await rm(dataDirectory, { recursive: true, force: true })
})

const resolve = (path: string) => resolveModel(path, { builtInDirectory: BUILT_IN, dataDirectory })

/** What the golden file demands and `found` does not hold: same label, IoU and score close. */
function missing(frame: GoldenFrame, found: readonly Detection[]): readonly string[] {
  return frame.detections
    .filter(({ must }) => must)
    .filter(
      ({ label, score, box }) =>
        !found.some(
          (detection) =>
            detection.label === label &&
            Math.abs(detection.score - score) <= 0.15 &&
            overlap(detection.box, toBox(box, frame)) >= 0.75,
        ),
    )
    .map(({ label, score, box }) => `${label} ${score} at ${box.join(' ')}`)
}

function toBox([left, top, right, bottom]: GoldenDetection['box'], frame: GoldenFrame): Box {
  return {
    left: left / frame.width,
    top: top / frame.height,
    width: (right - left) / frame.width,
    height: (bottom - top) / frame.height,
  }
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left)
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top)
  if (width <= 0 || height <= 0) return 0
  const shared = width * height
  return shared / (a.width * a.height + b.width * b.height - shared)
}

const people = (found: readonly Detection[]) => found.filter(({ label }) => label === 'person')

async function picture(frame: GoldenFrame) {
  const png = sharedFile(`golden/${frame.png}`)!
  const pixels = await sharp(png).removeAlpha().raw().toBuffer()
  return rgb24Picture(pixels, frame.width, frame.height)
}

describe.skipIf(!present)('golden detections from lossless frames', () => {
  const rows = goldens.flatMap(({ clip, frames }) => frames.map((frame) => ({ clip, frame })))

  test('YOLOX finds all that it must, and nobody where nobody is', async () => {
    await using detector = await FrameDetector.open(
      await loadModel((await resolve(yolox!)).directory),
    )
    for (const { clip, frame } of rows) {
      const found = await detector.detect(await picture(frame), 0, { before: null })

      expect(missing(frame, found!), `${clip} ${frame.index}`).toEqual([])
      if (EMPTY_FRAMES.has(`${clip} ${frame.index}`)) expect(people(found!)).toEqual([])
    }
  })

  test('NanoDet sees most of the same people', async () => {
    await using detector = await FrameDetector.open(
      await loadModel((await resolve(nanodet!)).directory),
    )
    let expected = 0
    let met = 0
    for (const { clip, frame } of rows) {
      const found = people((await detector.detect(await picture(frame), 0, { before: null }))!)
      const wanted = frame.detections.filter(({ must, label }) => must && label === 'person')
      expected += wanted.length
      met += wanted.filter(({ box }) =>
        found.some((detection) => overlap(detection.box, toBox(box, frame)) >= 0.5),
      ).length
      if (EMPTY_FRAMES.has(`${clip} ${frame.index}`)) expect(found).toEqual([])
    }
    expect(expected).toBeGreaterThan(40)
    expect(met / expected).toBeGreaterThan(0.8)
  })
})

describe.skipIf(!present)('golden detections through the whole path', () => {
  test.each(goldens)(
    '$clip: file, fragments, worker thread, boxes',
    async (golden) => {
      const { directory } = await resolve(yolox!)
      await using detector = await openDetector(
        { modelDirectory: directory, framesPerSecond: 1_000, workers: 1 },
        { log: silentLog },
      )
      const media = await readMedia(sharedFile(`media/${golden.video.file}`)!)
      const wanted = new Map<number, GoldenFrame>(
        golden.frames.map((frame) => [STARTED_AT + Math.round(frame.ptsSeconds * 1000), frame]),
      )
      let index = 0
      let checked = 0

      for (const fragment of toFragments('camera', media)) {
        const lastMs = Math.max(...[...wanted.keys()])
        if (fragment.producerTimestamp > lastMs) break
        const times = videoTimes(fragment)
        const count = times.length
        if (!times.some((time) => wanted.has(time))) {
          // Nothing to check on it, and every fragment starts with a key sample.
          index += count
          continue
        }
        const result = await detector.detect(fragment, new AbortController().signal)
        expect(result.framesDecoded).toBe(count)
        expect(result.framesInferred).toBe(count)
        for (const { frameTimestamp, frame: size, detections, fragmentNumber } of result.frames) {
          const frame = wanted.get(frameTimestamp)
          if (frame !== undefined) {
            checked++
            expect(index, 'presentation order').toBe(frame.index)
            expect(size).toEqual({ widthPx: frame.width, heightPx: frame.height })
            expect(fragmentNumber).toBe(fragment.fragmentNumber)
            expect(missing(frame, detections), `frame ${index}`).toEqual([])
            if (EMPTY_FRAMES.has(`${golden.clip} ${frame.index}`)) {
              expect(people(detections)).toEqual([])
            }
          }
          index++
        }
      }

      expect(checked).toBe(golden.frames.length)
    },
    120_000,
  )
})

function videoTimes(fragment: FragmentToDetect): number[] {
  const video = fragment.tracks.find(({ kind }) => kind === 'video')!
  return toSamples(fragment.bytes, fragment.tracks)
    .filter(({ trackNumber }) => trackNumber === video.number)
    .map(({ ptsMs }) => ptsMs)
}
