import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeMotionModel } from '../../scripts/make-motion-model.ts'
import type { Detection } from '../../src/domain/detection.ts'
import { FrameDetector } from '../../src/detect/frame-detector.ts'
import { loadModel } from '../../src/detect/manifest.ts'
import type { Picture } from '../../src/platform/av.ts'
import { Scene, seededRandom, texture, type Rectangle } from './support/scene.ts'

const FOLDER = fileURLToPath(new URL('../../models/kinora-motion', import.meta.url))
const WIDTH_PX = 640
const HEIGHT_PX = 360
/** One cell of the map, as fractions of the picture. */
const CELL = { width: 1 / 52, height: 1 / 30 }

let detector: FrameDetector
beforeAll(async () => {
  detector = await FrameDetector.open(await loadModel(FOLDER))
})
afterAll(async () => {
  await detector[Symbol.asyncDispose]()
})

async function compare(before: Picture, after: Picture): Promise<readonly Detection[]> {
  const memory = { before: null }
  expect(await detector.detect(before, 1_000, memory)).toBeNull()
  const detections = await detector.detect(after, 1_200, memory)
  return detections!
}

test('the model in the project is what the script makes', async () => {
  const made = makeMotionModel()

  expect(Buffer.from(made.onnx).equals(await readFile(`${FOLDER}/model.onnx`))).toBe(true)
  expect(made.manifest).toBe(await readFile(`${FOLDER}/manifest.json`, 'utf8'))
  expect(Buffer.from(makeMotionModel().onnx).equals(made.onnx)).toBe(true)
})

const flat = (level: number) => () => level
const lawn = texture(7, { mean: 110, amplitude: 45, grainPx: 6 })
const shirt = texture(8, { mean: 150, amplitude: 70, grainPx: 5 })

describe('a rectangle that moves gives one box around its old and its new place', () => {
  const grounds = { 'a flat ground': flat(100), 'a textured ground': lawn }
  const things = {
    'a bright thing': flat(200),
    'a dark thing': flat(25),
    'a textured thing': shirt,
  }
  const moves = [
    { by: [24, 0], size: [60, 90] },
    { by: [0, 26], size: [80, 60] },
    { by: [-30, 18], size: [70, 80] },
    { by: [16, -10], size: [48, 100] },
    { by: [60, 40], size: [60, 44] },
    { by: [14, 0], size: [120, 60] },
  ] as const
  const rows = Object.entries(grounds).flatMap(([ground, groundAt]) =>
    Object.entries(things).flatMap(([thing, thingAt]) =>
      moves.map(({ by, size }) => ({ ground, groundAt, thing, thingAt, by, size })),
    ),
  )

  test.each(rows)('$thing of $size over $ground by $by', async (row) => {
    const { groundAt, thingAt } = row
    const [width, height] = row.size
    const old: Rectangle = { left: 260, top: 130, width, height }
    const now: Rectangle = { ...old, left: old.left + row.by[0], top: old.top + row.by[1] }
    const sceneWith = (place: Rectangle) =>
      new Scene(WIDTH_PX, HEIGHT_PX).fill(groundAt).rectangle(place, thingAt).toPicture()

    const detections = await compare(sceneWith(old), sceneWith(now))

    expect(detections.map((d) => d.label)).toEqual(['motion'])
    const { box, score } = detections[0]!
    expect(score).toBeGreaterThan(0.4)
    const distances = [
      (box.left - Math.min(old.left, now.left) / WIDTH_PX) / CELL.width,
      (box.left + box.width - (Math.max(old.left, now.left) + width) / WIDTH_PX) / CELL.width,
      (box.top - Math.min(old.top, now.top) / HEIGHT_PX) / CELL.height,
      (box.top + box.height - (Math.max(old.top, now.top) + height) / HEIGHT_PX) / CELL.height,
    ]
    for (const cells of distances) expect(Math.abs(cells)).toBeLessThanOrEqual(1)
  })
})

describe('nothing moves, so there is no box', () => {
  const yard = () => new Scene(WIDTH_PX, HEIGHT_PX).fill(lawn).rectangle(PARKED, shirt)
  const empty = () => new Scene(WIDTH_PX, HEIGHT_PX).fill(flat(120))
  const PARKED: Rectangle = { left: 400, top: 180, width: 130, height: 80 }
  const random = seededRandom(2026)
  const slope = (from: number, to: number) => (level: number, x: number) =>
    level * (from + ((to - from) * x) / WIDTH_PX)

  test.each([
    { rule: 'two equal frames', change: (scene: Scene) => scene },
    ...[1, 3, 6].map((sigma) => ({
      rule: `Gaussian noise of sigma ${sigma}`,
      change: (scene: Scene) => scene.noise(sigma, random),
    })),
    ...[0.7, 0.85, 0.95, 1.05, 1.2, 1.4].map((gain) => ({
      rule: `the light changes by ${gain} at once`,
      change: (scene: Scene) => scene.map((level) => level * gain),
    })),
    ...[-30, -10, 10, 30].map((offset) => ({
      rule: `the level changes by ${offset} at once`,
      change: (scene: Scene) => scene.map((level) => level + offset),
    })),
    {
      rule: 'gain, offset and noise together',
      change: (scene: Scene) => scene.map((level) => level * 0.8 + 25).noise(4, random),
    },
    {
      rule: 'a lamp warms up on one side',
      change: (scene: Scene) => scene.map(slope(1, 1.08)),
    },
    {
      rule: 'the camera trembles by a third of a pixel',
      change: (scene: Scene) => {
        const still = Float64Array.from(scene.levels)
        const right = (x: number, y: number) => still[y * WIDTH_PX + Math.min(WIDTH_PX - 1, x + 1)]!
        return scene.map((level, x, y) => level * 0.67 + right(x, y) * 0.33)
      },
    },
    { rule: 'the picture goes black', change: (scene: Scene) => scene.fill(flat(0)) },
    {
      rule: 'another scene',
      change: (scene: Scene) => scene.fill(texture(99, { mean: 90, amplitude: 80, grainPx: 9 })),
    },
  ])('$rule', async ({ change }) => {
    const noisy = change(empty())
    expect(await compare(yard().toPicture(), change(yard()).toPicture())).toEqual([])
    expect(await compare(empty().toPicture(), noisy.toPicture())).toEqual([])
  })

  test('a shadow edge that drifts slowly', async () => {
    const shadow = (edge: number) =>
      yard().map((level, x) => level * (1 - 0.4 / (1 + Math.exp((x - edge) / 25))))
    for (let edge = 100; edge < 300; edge += 4) {
      expect(await compare(shadow(edge).toPicture(), shadow(edge + 4).toPicture())).toEqual([])
    }
  })
})

describe('something moves although', () => {
  const random = seededRandom(77)
  test.each([
    { rule: 'there is noise of sigma 6', change: (scene: Scene) => scene.noise(6, random) },
    { rule: 'the light changes by 0.7', change: (scene: Scene) => scene.map((l) => l * 0.7) },
    { rule: 'the light changes by 1.4', change: (scene: Scene) => scene.map((l) => l * 1.4) },
    { rule: 'the level changes by 30', change: (scene: Scene) => scene.map((l) => l + 30) },
  ])('$rule', async ({ change }) => {
    const scene = (left: number) =>
      new Scene(WIDTH_PX, HEIGHT_PX)
        .fill(lawn)
        .rectangle({ left, top: 150, width: 60, height: 90 }, flat(20))

    const detections = await compare(scene(200).toPicture(), change(scene(240)).toPicture())

    expect(detections).toHaveLength(1)
    const { box } = detections[0]!
    expect(box.left).toBeCloseTo(200 / WIDTH_PX, 1)
    expect(box.left + box.width).toBeCloseTo(300 / WIDTH_PX, 1)
    expect(box.top).toBeCloseTo(150 / HEIGHT_PX, 1)
  })

  test('two things move on their own', async () => {
    const scene = (left: number, top: number) =>
      new Scene(WIDTH_PX, HEIGHT_PX)
        .fill(lawn)
        .rectangle({ left, top: 60, width: 50, height: 70 }, flat(230))
        .rectangle({ left: 450, top, width: 70, height: 50 }, shirt)

    const detections = await compare(scene(100, 200).toPicture(), scene(120, 222).toPicture())

    expect(detections).toHaveLength(2)
  })
})
