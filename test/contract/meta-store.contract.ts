import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MetaStore } from '../../src/platform/meta-store.ts'

/** An engine under test: `open` is called again on the same place, when the store is closed. */
export type MetaStoreEngine = {
  open(): Promise<MetaStore>
  [Symbol.asyncDispose](): Promise<void>
}

/** What every {@link MetaStore} promises. */
export function metaStoreContract(name: string, start: () => Promise<MetaStoreEngine>): void {
  describe(`${name}: MetaStore contract`, () => {
    let engine: MetaStoreEngine
    let store: MetaStore

    beforeEach(async () => {
      engine = await start()
      store = await engine.open()
    })
    afterEach(async () => {
      await store[Symbol.asyncDispose]()
      await engine[Symbol.asyncDispose]()
    })

    async function keys(range: Parameters<MetaStore['entries']>[0]): Promise<unknown[]> {
      const found: unknown[] = []
      for await (const { key } of store.entries(range)) found.push(key)
      return found
    }

    test('keeps what was committed, over a reopening', async () => {
      await store.commit({ puts: [{ key: ['a', 1], value: { x: [1, null, 'y'] } }] })
      await store[Symbol.asyncDispose]()
      store = await engine.open()

      expect(store.get(['a', 1])).toEqual({ x: [1, null, 'y'] })
      expect(store.get(['a', 2])).toBeNull()
    })

    test.each([
      { rule: 'applies when the condition holds', equals: 1, applied: true, after: 2 },
      { rule: 'changes nothing when it does not', equals: 9, applied: false, after: 1 },
      { rule: 'null means: does not exist', equals: null, applied: false, after: 1 },
    ])('$rule', async ({ equals, applied, after }) => {
      await store.commit({ puts: [{ key: ['k'], value: 1 }] })

      const result = await store.commit({
        conditions: [{ key: ['k'], equals }],
        puts: [{ key: ['k'], value: 2 }],
      })

      expect(result).toBe(applied)
      expect(store.get(['k'])).toBe(after)
    })

    test('of many commits on one condition exactly one wins', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.commit({
            conditions: [{ key: ['lease'], equals: null }],
            puts: [{ key: ['lease'], value: i }],
          }),
        ),
      )

      expect(results.filter(Boolean)).toHaveLength(1)
    })

    test('a failed commit does not stop the next one', async () => {
      await expect(store.commit({ puts: [{ key: ['a\u0000'], value: 1 }] })).rejects.toThrow(
        'U+0000',
      )

      expect(await store.commit({ puts: [{ key: ['b'], value: 1 }] })).toBe(true)
    })

    test('orders numbers as numbers, before strings, and prefixes before their longer kin', async () => {
      const inOrder = [
        ['p', 2],
        ['p', 10],
        ['p', 10, 'x'],
        ['p', 1e12],
        ['p', 'a'],
        ['p', 'a', 1],
        ['p', 'ab'],
      ]
      const others = [['o'], ['p'], ['pp', 1], ['q', 1]]
      const shuffled = [...others, ...inOrder].toSorted(() => 0.5 - Math.random())
      await store.commit({ puts: shuffled.map((key) => ({ key, value: 0 })) })

      expect(await keys({ prefix: ['p'] })).toEqual(inOrder)
      expect(await keys({ prefix: ['p'], reverse: true })).toEqual(inOrder.toReversed())
    })

    test.each([
      { rule: 'from is included', range: { from: [20] }, found: [20, 30] },
      { rule: 'before is not', range: { before: [20] }, found: [10] },
      {
        rule: 'floor: the last one below',
        range: { before: [21], reverse: true, limit: 1 },
        found: [20],
      },
      { rule: 'limit', range: { limit: 2 }, found: [10, 20] },
      { rule: 'empty', range: { from: [11], before: [20] }, found: [] },
    ])('$rule', async ({ range, found }) => {
      await store.commit({ puts: [10, 20, 30].map((n) => ({ key: ['t', n], value: n })) })

      expect(await keys({ prefix: ['t'], ...range })).toEqual(found.map((n) => ['t', n]))
    })

    test('refuses keys that would sort wrongly', async () => {
      for (const element of [-1, 1.5, Number.NaN]) {
        await expect(store.commit({ puts: [{ key: [element], value: 1 }] })).rejects.toThrow(
          RangeError,
        )
      }
    })

    test('a condition sees what was committed before it, on disk already or not', async () => {
      const results = await Promise.all([
        store.commit({ puts: [{ key: ['k'], value: { n: 1, gone: undefined } }] }),
        store.commit({
          conditions: [{ key: ['k'], equals: null }],
          puts: [{ key: ['x'], value: 1 }],
        }),
        store.commit({ conditions: [{ key: ['k'], equals: { n: 1 } }], deletes: [['k']] }),
        store.commit({
          conditions: [{ key: ['k'], equals: null }],
          puts: [{ key: ['y'], value: 1 }],
        }),
      ])

      expect(results).toEqual([true, false, true, true])
      expect([store.get(['k']), store.get(['x']), store.get(['y'])]).toEqual([null, null, 1])
    })

    test('of commits that come together a bad one fails alone', async () => {
      const results = await Promise.allSettled([
        store.commit({ puts: [{ key: ['a'], value: 1 }] }),
        store.commit({ puts: [{ key: ['b'], value: 1 }] }),
        store.commit({
          puts: [
            { key: ['c'], value: 1 },
            { key: [-1], value: 1 },
          ],
        }),
        store.commit({ puts: [{ key: ['b'], value: 2 }] }),
      ])

      expect(results.map(({ status }) => status)).toEqual([
        ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      ])
      expect([store.get(['a']), store.get(['b']), store.get(['c'])]).toEqual([1, 2, null])
    })

    test('closes behind what was committed', async () => {
      const committed = Array.from({ length: 5 }, (_, i) =>
        store.commit({ puts: [{ key: ['late', i], value: i }] }),
      )
      await store[Symbol.asyncDispose]()
      await Promise.all(committed)
      store = await engine.open()

      expect(await keys({ prefix: ['late'] })).toHaveLength(5)
    })
  })
}
