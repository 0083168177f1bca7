import { expect, test } from 'vitest'
import { WriteRate } from '../../src/archive/write-rate.ts'

/** Notes a sum each 5 s; `rates` are bytes per second, one a minute. */
function observe(rates: readonly number[]): WriteRate {
  const rate = new WriteRate()
  let total = 0
  let at = 1_000_000
  rate.note(at, total)
  for (const perSecond of rates) {
    for (let i = 0; i < 12; i++) rate.note((at += 5000), (total += perSecond * 5))
  }
  return rate
}

const minutes = (count: number, rate: number) => Array.from({ length: count }, () => rate)

test.each([
  { rule: 'nothing observed', rates: [], expected: 0 },
  { rule: 'a steady rate, from the first minute', rates: [100], expected: 100 },
  { rule: 'a steady rate, for long', rates: minutes(60, 100), expected: 100 },
  {
    rule: 'what was before ten minutes is forgotten',
    rates: [...minutes(30, 900), ...minutes(11, 0)],
    expected: 0,
  },
  {
    rule: 'half of the time counts half',
    rates: [...minutes(30, 0), ...minutes(5, 100)],
    expected: 50,
  },
])('$rule', ({ rates, expected }) => {
  expect(observe(rates).bytesPerSecond).toBeCloseTo(expected, 0)
})

test('a clock that was set back begins anew', () => {
  const rate = observe(minutes(3, 100))
  rate.note(5, 1e9)
  rate.note(20_005, 1e9 + 4000)

  expect(rate.bytesPerSecond).toBe(200)
})
