import { expect, test } from 'vitest'
import { createDeferred } from '../../src/platform/deferred.ts'
import { Turns } from '../../src/platform/turns.ts'

test('steps of one key do not overlap and keep their order; other keys do not wait', async () => {
  const turns = new Turns()
  const first = createDeferred<void>()
  const seen: string[] = []
  const done = [
    turns.take('a', async () => {
      seen.push('a1 begins')
      await first.promise
      seen.push('a1 ends')
    }),
    turns.take('a', async () => void seen.push('a2')),
    turns.take('b', async () => void seen.push('b1')),
  ]
  await done[2]
  expect(seen).toEqual(['a1 begins', 'b1'])
  expect(turns.keys).toEqual(['a'])

  first.resolve()
  await Promise.all(done)

  expect(seen).toEqual(['a1 begins', 'b1', 'a1 ends', 'a2'])
  expect(turns.keys).toEqual([])
})

test('a step that fails is told to its caller, and the next one runs', async () => {
  const turns = new Turns()
  const failing = turns.take('a', async () => {
    throw new Error('of a test')
  })
  const next = turns.take('a', async () => 'ran')

  await expect(failing).rejects.toThrow('of a test')
  await expect(next).resolves.toBe('ran')
  await expect(turns.settled('a')).resolves.toBeUndefined()
})
