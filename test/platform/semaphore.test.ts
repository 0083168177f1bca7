import { expect, test } from 'vitest'
import { createDeferred } from '../../src/platform/deferred.ts'
import { Semaphore } from '../../src/platform/semaphore.ts'

test('so many jobs run at once, the others in the order in which they came', async () => {
  const semaphore = new Semaphore(2)
  const jobs = Array.from({ length: 5 }, () => createDeferred<void>())
  const started: number[] = []
  const ended = jobs.map(({ promise }, i) =>
    semaphore.run(async () => {
      started.push(i)
      await promise
      return i
    }),
  )

  expect(started).toEqual([0, 1])
  jobs[1]!.resolve()
  await ended[1]
  await Promise.resolve()
  expect(started).toEqual([0, 1, 2])
  for (const { resolve } of jobs) resolve()

  expect(await Promise.all(ended)).toEqual([0, 1, 2, 3, 4])
  expect(started).toEqual([0, 1, 2, 3, 4])
})

test('a job that fails makes room too, and its caller hears of it', async () => {
  const semaphore = new Semaphore(1)
  const failed = semaphore.run(() => Promise.reject(new Error('no')))
  const next = semaphore.run(() => Promise.resolve('yes'))

  await expect(failed).rejects.toThrow('no')
  expect(await next).toBe('yes')
  expect(await semaphore.run(() => Promise.resolve('again'))).toBe('again')
})
