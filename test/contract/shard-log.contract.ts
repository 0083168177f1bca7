import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import type { LogEntry, LogEntryToAppend, ShardLog } from '../../src/datastream/index.ts'

/** An engine under test: `open` is called again on the same place to see what survived. */
export type ShardLogEngine = {
  open(): Promise<ShardLog>
  /** Ends one segment (or whatever the engine trims by) after at most this many bytes. */
  readonly trimUnitBytes: number
  [Symbol.asyncDispose](): Promise<void>
}

const ALL = { maxEntries: 100_000, maxBytes: 1 << 30 }

/** What every {@link ShardLog} promises. */
export function shardLogContract(name: string, start: () => Promise<ShardLogEngine>): void {
  describe(`${name}: shard log contract`, () => {
    let engine: ShardLogEngine
    let log: ShardLog

    beforeEach(async () => {
      engine = await start()
      log = await engine.open()
    })
    afterEach(async () => {
      await log[Symbol.asyncDispose]()
      await engine[Symbol.asyncDispose]()
    })

    async function reopen(): Promise<void> {
      await log[Symbol.asyncDispose]()
      log = await engine.open()
    }

    test('an empty log starts and ends at 0', async () => {
      expect([log.firstIndex, log.nextIndex]).toEqual([0, 0])
      expect(await log.read(0, ALL)).toEqual([])
      expect(await log.seekTime(epochMs(1))).toBe(0)
      await log.trimBefore(epochMs(1))
    })

    test('tells what it takes on the disk, over a start, and less when it was trimmed', async () => {
      expect(await log.storedBytes()).toBe(0)
      const data = new Uint8Array(engine.trimUnitBytes)
      await log.append([{ key: 'k', data, arrivedAt: epochMs(1) }])
      const one = await log.storedBytes()
      await log.append([{ key: 'k', data, arrivedAt: epochMs(2) }])
      const two = await log.storedBytes()

      expect(one).toBeGreaterThanOrEqual(data.length)
      expect(two).toBeGreaterThanOrEqual(2 * data.length)
      await reopen()
      expect(await log.storedBytes()).toBe(two)
      await log.trimBefore(epochMs(3))
      expect(await log.storedBytes()).toBeLessThan(one)
    })

    test('gives out consecutive indexes, batch by batch', async () => {
      expect(await log.append([entry('a', 1), entry('b', 1)])).toEqual({ first: 0, last: 1 })
      expect(await log.append([entry('c', 2)])).toEqual({ first: 2, last: 2 })
      expect(log.nextIndex).toBe(3)
    })

    test('concurrent batches stay whole and in the order of the calls', async () => {
      const ranges = await Promise.all(
        Array.from({ length: 50 }, (_, i) => log.append([entry(`k${i}`, i), entry(`l${i}`, i)])),
      )

      expect(ranges.map(({ first }) => first)).toEqual(ranges.map((_, i) => i * 2))
      const keys = (await log.read(0, ALL)).map(({ key }) => key)
      expect(keys).toEqual(Array.from({ length: 50 }, (_, i) => [`k${i}`, `l${i}`]).flat())
    })

    test('keeps key, data, arrival and index as they were', async () => {
      const data = Uint8Array.from({ length: 256 }, (_, i) => i)
      await log.append([{ key: 'ключ-🔑', data, arrivedAt: epochMs(1_700_000_000_123) }])
      await log.append([{ key: '', data: new Uint8Array(0), arrivedAt: epochMs(0) }])
      await reopen()

      const [first, second] = await log.read(0, ALL)

      expect({ ...first, data: [...first!.data] }).toEqual({
        key: 'ключ-🔑',
        data: [...data],
        arrivedAt: 1_700_000_000_123,
        index: 0,
      })
      expect([second!.key, second!.data.length, second!.index]).toEqual(['', 0, 1])
    })

    test('reads from any index up to either limit, at least one', async () => {
      await log.append(Array.from({ length: 1000 }, (_, i) => entry(`${i}`, i, 100)))

      expect(indexes(await log.read(990, ALL))).toEqual(range(990, 1000))
      expect(indexes(await log.read(7, { maxEntries: 3, maxBytes: 1 << 20 }))).toEqual([7, 8, 9])
      expect(indexes(await log.read(100, { maxEntries: 50, maxBytes: 310 }))).toEqual([
        100, 101, 102,
      ])
      expect(indexes(await log.read(5, { maxEntries: 9, maxBytes: 1 }))).toEqual([5])
      expect(await log.read(1000, ALL)).toEqual([])
      expect(await log.read(5000, ALL)).toEqual([])
    })

    test('large entries come whole, also where they exceed the limit', async () => {
      const big = new Uint8Array(3 << 20).fill(7)
      await log.append([entry('small', 1), { key: 'big', data: big, arrivedAt: epochMs(2) }])
      await log.append([entry('after', 3)])

      const entries = await log.read(1, { maxEntries: 5, maxBytes: 10 })

      expect(entries.map(({ key }) => key)).toEqual(['big'])
      expect(Buffer.compare(entries[0]!.data, big)).toBe(0)
      expect(indexes(await log.read(0, ALL))).toEqual([0, 1, 2])
    })

    test('finds the first entry at or after a time', async () => {
      const times = [10, 20, 20, 30, 50]
      for (const time of times) await log.append([entry('x', time)])

      const found = await Promise.all([0, 10, 11, 20, 21, 31, 50, 51].map((t) => seek(t)))

      expect(found).toEqual([0, 0, 1, 1, 3, 4, 4, 5])
    })

    test('finds it too when the clock went back meanwhile', async () => {
      for (const time of [10, 90, 20, 30, 95]) await log.append([entry('x', time)])

      expect(await Promise.all([15, 90, 91].map((t) => seek(t)))).toEqual([1, 1, 4])
    })

    test('every time is found in a log of many trim units', async () => {
      const size = Math.ceil(engine.trimUnitBytes / 8)
      for (let i = 0; i < 40; i++) await log.append([entry('x', i * 10, size)])

      const found = await Promise.all(range(0, 40).map((i) => seek(i * 10 - 3)))

      expect(found).toEqual(range(0, 40))
    })

    test('trimming forgets old units only, and the numbering goes on', async () => {
      const size = Math.ceil(engine.trimUnitBytes / 4)
      for (let i = 0; i < 40; i++) await log.append([entry('x', i, size)])

      await log.trimBefore(epochMs(20))

      expect(log.firstIndex).toBeGreaterThan(8)
      expect(log.firstIndex).toBeLessThanOrEqual(20)
      expect((await log.read(0, { maxEntries: 1, maxBytes: 1 }))[0]!.index).toBe(log.firstIndex)
      expect(await seek(20)).toBe(20)
      expect(await log.append([entry('y', 41)])).toEqual({ first: 40, last: 40 })
    })

    test('a log of which all is trimmed is empty and keeps its numbering', async () => {
      await log.append([entry('a', 1), entry('b', 2)])
      await log.trimBefore(epochMs(3))
      expect([log.firstIndex, log.nextIndex]).toEqual([2, 2])
      await reopen()

      expect([log.firstIndex, log.nextIndex]).toEqual([2, 2])
      expect(await log.read(0, ALL)).toEqual([])
      expect(await log.append([entry('c', 4)])).toEqual({ first: 2, last: 2 })
    })

    test('reading goes on while the log is trimmed under the reader', async () => {
      const size = Math.ceil(engine.trimUnitBytes / 2)
      for (let i = 0; i < 60; i++) await log.append([entry('x', i, size)])

      const reads = range(0, 60).map((i) => log.read(i, ALL))
      await Promise.all([log.trimBefore(epochMs(50)), ...reads])

      for (const entries of await Promise.all(reads)) expect(entries.at(-1)!.index).toBe(59)
    })

    test('all of it is there after it was opened again', async () => {
      const size = Math.ceil(engine.trimUnitBytes / 8)
      for (let i = 0; i < 30; i++) await log.append([entry(`k${i}`, i, size)])
      await reopen()
      await log.append([entry('k30', 30)])
      await reopen()

      const entries = await log.read(0, ALL)

      expect(entries.map(({ key }) => key)).toEqual(range(0, 31).map((i) => `k${i}`))
      expect(log.nextIndex).toBe(31)
    })

    test('a sealed log is read and never appended to, also after it was opened again', async () => {
      await log.append([entry('a', 1)])
      const racing = log.append([entry('b', 2)])
      await log.seal()

      await racing
      await expect(log.append([entry('c', 3)])).rejects.toMatchObject({ code: 'LogSealed' })
      await reopen()
      await expect(log.append([entry('c', 3)])).rejects.toMatchObject({ code: 'LogSealed' })
      expect(indexes(await log.read(0, ALL))).toEqual([0, 1])
    })

    test('closing serves who waits and refuses who comes', async () => {
      const waiting = log.append([entry('a', 1)])
      const closing = log[Symbol.asyncDispose]()

      await expect(log.append([entry('b', 1)])).rejects.toMatchObject({ code: 'LogClosed' })
      expect(await waiting).toEqual({ first: 0, last: 0 })
      await closing
      await expect(log.read(0, ALL)).rejects.toMatchObject({ code: 'LogClosed' })
    })

    function seek(time: number): Promise<number> {
      return log.seekTime(epochMs(Math.max(0, time)))
    }
  })
}

export function entry(key: string, arrivedAt: number, sizeBytes = 10): LogEntryToAppend {
  return { key, data: new Uint8Array(sizeBytes).fill(1), arrivedAt: epochMs(arrivedAt) }
}

function indexes(entries: readonly LogEntry[]): number[] {
  return entries.map(({ index }) => index)
}

function range(from: number, before: number): number[] {
  return Array.from({ length: before - from }, (_, i) => from + i)
}
