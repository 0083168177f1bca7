import { expect, test } from 'vitest'
import { Interpolator } from '../../../src/media/pcm/interpolator.ts'

const sine = (frequency: number) => (i: number) => Math.sin(2 * Math.PI * frequency * i)
const signal = (of: (i: number) => number) => Float32Array.from({ length: 400 }, (_, i) => of(i))

test('gives the samples themselves where they are', () => {
  const samples = signal((i) => ((i * 7919) % 200) / 100 - 1)
  const interpolator = new Interpolator(2)

  for (let i = 0; i < 400; i++) expect(interpolator.at(samples, i)).toBe(samples[i])
})

test.each([0.02, 0.1, 0.3, 0.42])('gives a tone of %f of the rate between them', (frequency) => {
  const of = sine(frequency)
  const interpolator = new Interpolator(2)

  for (let position = 50; position < 350; position += 0.37) {
    expect(Math.abs(interpolator.at(signal(of), position) - of(position))).toBeLessThan(0.01)
  }
})

test('takes out what a lower rate cannot hold, and keeps the rest', () => {
  const interpolator = new Interpolator(0.5)
  const levelOf = (frequency: number) => {
    const samples = signal(sine(frequency))
    return Math.max(
      ...Array.from({ length: 100 }, (_, i) => interpolator.at(samples, 150 + 0.31 * i)),
    )
  }

  expect(levelOf(0.35)).toBeLessThan(0.01)
  expect(levelOf(0.1)).toBeGreaterThan(0.99)
})

test('is silent outside of the signal', () => {
  const interpolator = new Interpolator(2)

  expect(
    interpolator.at(
      signal(() => 1),
      -100,
    ),
  ).toBe(0)
  expect(
    interpolator.at(
      signal(() => 1),
      1000,
    ),
  ).toBe(0)
})
