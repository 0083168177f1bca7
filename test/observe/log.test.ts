import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { BURST, RepeatLimit } from '../../src/observe/limit-repeats.ts'
import { createLog } from '../../src/observe/log.ts'

test('the same text passes so often a second; the rest is told when the second is over', () => {
  const limit = new RepeatLimit()
  const admitted = Array.from({ length: BURST + 5 }, () => limit.admits('refused', 1_000))

  expect(admitted.filter(Boolean)).toHaveLength(BURST)
  expect(limit.takeLeftOut(1_999)).toEqual([])
  expect(limit.admits('another', 1_999)).toBe(true)
  expect(limit.takeLeftOut(2_000)).toEqual([{ text: 'refused', count: 5 }])
  expect(limit.takeLeftOut(2_000)).toEqual([])
  expect(limit.admits('refused', 2_000)).toBe(true)
})

test('a clock that is set back does not silence a text', () => {
  const limit = new RepeatLimit()
  for (let i = 0; i <= BURST; i++) limit.admits('refused', 5_000)

  expect(limit.takeLeftOut(1_000)).toEqual([{ text: 'refused', count: 1 }])
  expect(limit.admits('refused', 1_000)).toBe(true)
})

test('a flood of warnings is bounded, and hides neither other warnings nor information', () => {
  const destination = new PassThrough()
  const log = createLog('info', destination)

  for (let i = 0; i < 10_000; i++) log.warn({ peer: i }, 'session refused')
  for (let i = 0; i < BURST + 1; i++) log.info('told')
  log.error('disk full')

  const lines = String(destination.read()).trimEnd().split('\n')
  const texts = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  expect(texts.filter((text) => text === 'told')).toHaveLength(BURST + 1)
  expect(texts).toContain('disk full')
  expect(texts.length).toBeLessThan(10 * BURST)
})

test('secrets are never written, whoever logs an object that holds them', () => {
  const destination = new PassThrough()
  const stream = { publishKey: 'hush-1', secret: 'hush-2', token: 'hush-3', name: 'cam' }

  createLog('info', destination).warn({ stream }, 'a stream')

  const line = String(destination.read())
  expect(line).toContain('cam')
  expect(line).not.toContain('hush')
})
