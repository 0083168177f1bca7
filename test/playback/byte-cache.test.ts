import { expect, test } from 'vitest'
import { ByteCache } from '../../src/playback/byte-cache.ts'

const image = (bytes: number) => ({ bytes: new Uint8Array(bytes) })
const newCache = () => new ByteCache<{ bytes: Uint8Array }>(100, ({ bytes }) => bytes.length)

test('keeps what was used last, up to its bytes', () => {
  const cache = newCache()
  cache.set('a', image(40))
  cache.set('b', image(40))
  cache.get('a')
  cache.set('c', image(40))

  expect(['a', 'b', 'c'].map((key) => cache.get(key) !== null)).toEqual([true, false, true])
})

test('a value of the same name replaces the old one and its bytes', () => {
  const cache = newCache()
  for (let i = 0; i < 10; i++) cache.set('a', image(60))
  cache.set('b', image(40))

  expect(cache.get('a')?.bytes.length).toBe(60)
  expect(cache.get('b')?.bytes.length).toBe(40)
})

test('what is larger than all of it is not kept, and drives nothing out', () => {
  const cache = newCache()
  cache.set('a', image(50))
  cache.set('huge', image(101))

  expect(cache.get('huge')).toBeNull()
  expect(cache.get('a')).not.toBeNull()
})
