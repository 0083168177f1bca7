import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ConnectGate } from '../../../src/ingest/sources/connect-gate.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const never = new AbortController().signal

function openGate(places: number) {
  const clock = new ManualClock()
  const gate = new ConnectGate(clock, { places, holdMs: 3_000 })
  const inside: string[] = []
  const enter = (name: string, signal = never) =>
    gate.enter(signal).then((leave) => {
      inside.push(name)
      return leave
    })
  return { clock, inside, enter }
}

test('lets in as many as there are places, then one for one in order', async () => {
  const { inside, enter } = openGate(2)
  const [leaveA] = await Promise.all([enter('a'), enter('b')])
  const [c, d] = [enter('c'), enter('d')]
  await turn()
  const whileFull = [...inside]

  leaveA()
  leaveA() // counts once
  const leaveC = await c
  await turn()
  const afterOne = [...inside]
  leaveC()
  await d

  expect(whileFull).toEqual(['a', 'b'])
  expect(afterOne).toEqual(['a', 'b', 'c'])
  expect(inside).toEqual(['a', 'b', 'c', 'd'])
})

test('a place is free again after a time, once', async () => {
  const { clock, inside, enter } = openGate(1)
  const leaveA = await enter('a')
  const [b, c] = [enter('b'), enter('c')]

  clock.advance(3_000)
  await b
  leaveA() // had left already
  await turn()
  const whileB = [...inside]
  clock.advance(3_000)
  await c

  expect(whileB).toEqual(['a', 'b'])
})

test('who gives up waiting takes no place', async () => {
  const { inside, enter } = openGate(1)
  const leaveA = await enter('a')
  const givingUp = new AbortController()
  const b = enter('b', givingUp.signal)
  const c = enter('c')

  givingUp.abort('changed')
  await expect(b).rejects.toBe('changed')
  leaveA()
  await c

  expect(inside).toEqual(['a', 'c'])
  await expect(enter('d', givingUp.signal)).rejects.toBe('changed')
})
