import { rgb24Picture, type Picture } from '../../../src/platform/av.ts'

/** Grey levels, row by row; drawn on, lit and made noisy, then turned into an RGB picture. */
export class Scene {
  readonly levels: Float64Array
  readonly widthPx: number
  readonly heightPx: number

  constructor(widthPx: number, heightPx: number) {
    this.widthPx = widthPx
    this.heightPx = heightPx
    this.levels = new Float64Array(widthPx * heightPx)
  }

  fill(levelAt: (x: number, y: number) => number): this {
    for (let y = 0; y < this.heightPx; y++) {
      for (let x = 0; x < this.widthPx; x++) this.levels[y * this.widthPx + x] = levelAt(x, y)
    }
    return this
  }

  rectangle(area: Rectangle, levelAt: (x: number, y: number) => number): this {
    for (let y = area.top; y < area.top + area.height; y++) {
      for (let x = area.left; x < area.left + area.width; x++) {
        this.levels[y * this.widthPx + x] = levelAt(x - area.left, y - area.top)
      }
    }
    return this
  }

  map(change: (level: number, x: number, y: number) => number): this {
    return this.fill((x, y) => change(this.levels[y * this.widthPx + x]!, x, y))
  }

  noise(sigma: number, random: () => number): this {
    return this.map((level) => level + sigma * gaussian(random))
  }

  toPicture(): Picture {
    const bytes = new Uint8Array(this.levels.length * 3)
    this.levels.forEach((level, i) => bytes.fill(toByte(level), i * 3, i * 3 + 3))
    return rgb24Picture(bytes, this.widthPx, this.heightPx)
  }
}

export type Rectangle = {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Mulberry32: the same numbers for the same seed on every machine, 0..1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Blocks of random grey, the same at the same place: a wall, a lawn, a shirt. */
export function texture(seed: number, options: TextureOptions): (x: number, y: number) => number {
  const random = seededRandom(seed)
  const side = 128
  const levels = Float64Array.from(
    { length: side * side },
    () => options.mean + (random() - 0.5) * 2 * options.amplitude,
  )
  return (x, y) => {
    const column = Math.floor(x / options.grainPx) % side
    const row = Math.floor(y / options.grainPx) % side
    return levels[row * side + column]!
  }
}

export type TextureOptions = {
  readonly mean: number
  readonly amplitude: number
  readonly grainPx: number
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

function toByte(level: number): number {
  return Math.min(255, Math.max(0, Math.round(level)))
}
