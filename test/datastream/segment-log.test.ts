import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import {
  openSegmentLog,
  type SegmentLogOptions,
  type ShardLog,
} from '../../src/datastream/index.ts'
import { entry } from '../contract/shard-log.contract.ts'
import { scratchDirectory, untilTestEnds } from '../support/scratch.ts'
import { FaultyDisk } from './faulty-disk.ts'

const ALL = { maxEntries: 100_000, maxBytes: 1 << 30 }
const FIRST = '0000000000000000'

async function open(
  directory: string,
  options: Partial<SegmentLogOptions> = {},
): Promise<ShardLog> {
  return untilTestEnds(await openSegmentLog(directory, options))
}

/** A folder with a closed log of `count` entries. */
async function closedLog(count: number, options: Partial<SegmentLogOptions> = {}): Promise<string> {
  const directory = join(await scratchDirectory(), 'log')
  const log = await openSegmentLog(directory, options)
  for (let i = 0; i < count; i++) await log.append([entry(`key ${i}`, i, 20)])
  await log[Symbol.asyncDispose]()
  return directory
}

async function keys(log: ShardLog): Promise<string[]> {
  return (await log.read(0, ALL)).map(({ key }) => key)
}

describe('recovery', () => {
  test('a tail torn at any byte of the last record is cut off, and nothing before it', async () => {
    const source = await closedLog(3)
    const whole = await readFile(join(source, `${FIRST}.log`))
    const start = whole.length - (28 + 'key 2'.length + 20)

    for (let length = start; length < whole.length; length++) {
      const directory = join(await scratchDirectory(), 'torn')
      await mkdir(directory)
      await writeFile(join(directory, `${FIRST}.log`), whole.subarray(0, length))
      const cuts: number[] = []
      const log = await open(directory, { onCut: ({ cutBytes }) => cuts.push(cutBytes) })

      expect(await keys(log)).toEqual(['key 0', 'key 1'])
      expect(cuts).toEqual(length === start ? [] : [length - start])
      expect(await log.append([entry('new', 9)])).toEqual({ first: 2, last: 2 })
      await log[Symbol.asyncDispose]()
      expect(await keys(await open(directory))).toEqual(['key 0', 'key 1', 'new'])
    }
  })

  test('a flipped bit anywhere in the last record makes it no record', async () => {
    const source = await closedLog(2)
    const whole = await readFile(join(source, `${FIRST}.log`))
    const start = whole.length - (28 + 'key 1'.length + 20)
    for (let at = start; at < whole.length; at++) {
      const directory = join(await scratchDirectory(), 'flipped')
      await mkdir(directory)
      const damaged = Buffer.from(whole)
      damaged[at]! ^= 1 << (at % 8)
      await writeFile(join(directory, `${FIRST}.log`), damaged)

      expect(await keys(await open(directory)), `byte ${at}`).toEqual(['key 0'])
    }
  })

  test.each([
    { tail: 'zeros, as after a power cut', bytes: Buffer.alloc(4096) },
    { tail: 'ones', bytes: Buffer.alloc(4096, 0xff) },
    { tail: 'two megabytes of noise', bytes: Buffer.alloc(2 << 20, 'noise') },
  ])('a tail of $tail is cut off', async ({ bytes }) => {
    const directory = await closedLog(3)
    await appendFile(join(directory, `${FIRST}.log`), bytes)

    const log = await open(directory)

    expect(await keys(log)).toEqual(['key 0', 'key 1', 'key 2'])
    await log.append([entry('key 3', 3)])
    expect(await keys(log)).toEqual(['key 0', 'key 1', 'key 2', 'key 3'])
  })

  test('a whole record of another place in the log is not taken for the next one', async () => {
    const directory = await closedLog(3)
    const path = join(directory, `${FIRST}.log`)
    const whole = await readFile(path)
    await appendFile(path, whole.subarray(whole.length - (28 + 'key 2'.length + 20)))

    expect((await open(directory)).nextIndex).toBe(3)
  })

  test.each([0, 1, 31])(
    'a segment of which only %i header bytes were written never was',
    async (n) => {
      const directory = await closedLog(3)
      const header = (await readFile(join(directory, `${FIRST}.log`))).subarray(0, n)
      await writeFile(join(directory, '0000000000000003.log'), header)

      const log = await open(directory)

      expect(await keys(log)).toEqual(['key 0', 'key 1', 'key 2'])
      expect(await log.append([entry('key 3', 3)])).toEqual({ first: 3, last: 3 })
    },
  )

  test('a flipped bit anywhere before acknowledged records costs one record, and is told', async () => {
    const source = await closedLog(5)
    const whole = await readFile(join(source, `${FIRST}.log`))
    const recordBytes = 28 + 'key 1'.length + 20

    for (let at = 32 + recordBytes; at < 32 + 2 * recordBytes; at++) {
      const directory = join(await scratchDirectory(), 'flipped')
      await mkdir(directory)
      const damaged = Buffer.from(whole)
      damaged[at]! ^= 1 << (at % 8)
      await writeFile(join(directory, `${FIRST}.log`), damaged)
      const damages: unknown[] = []
      const cuts: unknown[] = []
      const log = await open(directory, {
        onDamage: (damage) => damages.push(damage),
        onCut: (cut) => cuts.push(cut),
      })

      expect(damages).toEqual([{ firstIndex: 1, records: 1, bytes: recordBytes }])
      expect([cuts, log.nextIndex]).toEqual([[], 5])
      expect((await log.read(0, ALL)).map(({ key }) => key)).toEqual(['key 0'])
      await expect(log.read(1, ALL)).rejects.toMatchObject({ code: 'LogCorrupted' })
      expect((await log.read(2, ALL)).map(({ index }) => index)).toEqual([2, 3, 4])
      expect(await log.append([entry('key 5', 9)])).toEqual({ first: 5, last: 5 })
      await log[Symbol.asyncDispose]()
    }
  })

  test('a damaged group whose followers were written with it is a torn tail', async () => {
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory)
    await log.append([entry('key 0', 1, 20)])
    await log.append([1, 2, 3].map((i) => entry(`key ${i}`, 1, 20)))
    await log[Symbol.asyncDispose]()
    const path = join(directory, `${FIRST}.log`)
    const bytes = await readFile(path)
    const recordBytes = 28 + 'key 1'.length + 20
    bytes[32 + 2 * recordBytes + 40]! ^= 1
    await writeFile(path, bytes)
    await rm(join(directory, `${FIRST}.idx`))
    const damages: unknown[] = []

    const again = await open(directory, { onDamage: (damage) => damages.push(damage) })

    expect(damages).toEqual([])
    expect(await keys(again)).toEqual(['key 0', 'key 1'])
  })

  test('data that looks like records of a log is no proof of anything', async () => {
    const source = await closedLog(3)
    const copied = (await readFile(join(source, `${FIRST}.log`))).subarray(32)
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory)
    await log.append([{ key: 'k', data: copied, arrivedAt: epochMs(1) }])
    await log[Symbol.asyncDispose]()
    await rm(join(directory, `${FIRST}.idx`))
    await truncate(join(directory, `${FIRST}.log`), 32 + 28 + 1 + copied.length - 1)
    const damages: unknown[] = []

    const again = await open(directory, { onDamage: (damage) => damages.push(damage) })

    expect([damages, again.nextIndex]).toEqual([[], 0])
  })

  test('a start after a crash looks at the last few megabytes only', async () => {
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory, { maxSegmentBytes: 1 << 30 })
    for (let i = 0; i < 12; i++) await log.append([entry(`key ${i}`, i, 1 << 20)])
    const crashed = join(await scratchDirectory(), 'crashed')
    await mkdir(crashed)
    for (const name of [`${FIRST}.log`, `${FIRST}.idx`]) {
      await copyFile(join(directory, name), join(crashed, name))
    }
    const disk = new FaultyDisk()

    const again = await open(crashed, { disk, maxSegmentBytes: 1 << 30 })

    expect(again.nextIndex).toBe(12)
    expect(disk.bytesRead).toBeLessThan(9 << 20)
  })

  test('a segment with records whose header is damaged is not thrown away nor kept open', async () => {
    const disk = new FaultyDisk()
    const directory = await closedLog(3)
    const path = join(directory, `${FIRST}.log`)
    const bytes = await readFile(path)
    bytes[10]! ^= 1
    await writeFile(path, bytes)
    await rm(join(directory, `${FIRST}.idx`))

    await expect(openSegmentLog(directory, { disk })).rejects.toMatchObject({
      code: 'LogCorrupted',
    })
    expect((await stat(path)).size).toBe(bytes.length)
    expect(disk.openFiles).toBe(0)
  })

  test.each([
    { index: 'missing', change: (path: string) => rm(path) },
    { index: 'damaged', change: (path: string) => truncate(path, 50) },
    { index: 'of garbage', change: (path: string) => writeFile(path, Buffer.alloc(100, 7)) },
  ])('an index file that is $index is made again', async ({ change }) => {
    const directory = await closedLog(60, { maxSegmentBytes: 1000 })
    const files = (await readdir(directory)).filter((name) => name.endsWith('.idx'))
    expect(files.length).toBeGreaterThan(2)
    for (const name of files) await change(join(directory, name))

    const log = await open(directory, { maxSegmentBytes: 1000 })

    expect(await keys(log)).toEqual(Array.from({ length: 60 }, (_, i) => `key ${i}`))
    expect(await log.seekTime(epochMs(33))).toBe(33)
  })

  test('an index file from before more records came is continued', async () => {
    const directory = await closedLog(3)
    const index = join(directory, `${FIRST}.idx`)
    await copyFile(index, `${index}.old`)
    const log = await open(directory)
    await log.append([entry('key 3', 3)])
    await log[Symbol.asyncDispose]()
    await copyFile(`${index}.old`, index)

    expect(await keys(await open(directory))).toEqual(['key 0', 'key 1', 'key 2', 'key 3'])
  })

  test('a damaged record in a sealed segment is reported, and the rest still read', async () => {
    const directory = await closedLog(60, { maxSegmentBytes: 1000 })
    const path = join(directory, `${FIRST}.log`)
    const bytes = await readFile(path)
    bytes[32 + 60]! ^= 1 // in the second record
    await writeFile(path, bytes)
    const log = await open(directory, { maxSegmentBytes: 1000 })

    expect((await log.read(0, { maxEntries: 1, maxBytes: 1 })).map(({ key }) => key)).toEqual([
      'key 0',
    ])
    await expect(log.read(1, ALL)).rejects.toMatchObject({
      kind: 'data-loss',
      code: 'LogCorrupted',
    })
    expect((await log.read(40, ALL)).length).toBe(20)
    expect(log.nextIndex).toBe(60)
  })
})

describe('group commit', () => {
  test('appends that come while a sync runs share the next one', async () => {
    const disk = new FaultyDisk()
    const log = await open(join(await scratchDirectory(), 'log'), { disk })
    await log.append([entry('first', 0)])
    disk.syncs = 0
    let release!: () => void
    disk.gate = new Promise((resolve) => (release = resolve))

    const running = log.append([entry('running', 1)])
    await new Promise((resolve) => setImmediate(resolve)) // its write is under way
    const waiting = Array.from({ length: 100 }, (_, i) => log.append([entry(`k${i}`, i)]))
    expect(log.nextIndex).toBe(1) // nothing is visible before it is on disk
    release()
    await Promise.all([running, ...waiting])

    expect(disk.syncs).toBe(2)
    expect(log.nextIndex).toBe(102)
  })

  test('when too much waits for the disk, the next is refused and the waiting are not', async () => {
    const disk = new FaultyDisk()
    const log = await open(join(await scratchDirectory(), 'log'), { disk, maxQueuedBytes: 1000 })
    let release!: () => void
    disk.gate = new Promise((resolve) => (release = resolve))

    const appends = Array.from({ length: 10 }, () => log.append([entry('k', 1, 300)]))
    const settled = Promise.allSettled(appends)
    release()
    const outcomes = (await settled).map(({ status }) => status)

    expect(outcomes.filter((status) => status === 'fulfilled').length).toBe(3)
    await expect(appends.at(-1)).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'LogQueueFull',
    })
    expect(log.nextIndex).toBe(3)
    await log.append([entry('k', 1, 300)])
  })
})

describe('a disk that fails', () => {
  test.each([
    {
      failure: 'a failed sync',
      fail: (disk: FaultyDisk) => (disk.failSync = true),
      mend: (disk: FaultyDisk) => (disk.failSync = false),
    },
    {
      failure: 'a full disk in the middle of a write',
      fail: (disk: FaultyDisk) => (disk.freeBytes = 40),
      mend: (disk: FaultyDisk) => (disk.freeBytes = 1 << 30),
    },
    {
      failure: 'a failed sync whose tail cannot be cut off either',
      fail: (disk: FaultyDisk) => (disk.failSync = disk.failTruncate = true),
      mend: (disk: FaultyDisk) => (disk.failSync = disk.failTruncate = false),
    },
  ])('$failure rejects all who wait; reads go on; the next append works', async (row) => {
    const disk = new FaultyDisk()
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory, { disk })
    await log.append([entry('a', 1), entry('b', 2)])
    row.fail(disk)

    const failed = await Promise.allSettled([
      log.append([entry('x', 3)]),
      log.append([entry('y', 3), entry('z', 3)]),
    ])

    expect(failed).toMatchObject([
      { status: 'rejected', reason: { kind: 'unavailable', code: 'LogWriteFailed' } },
      { status: 'rejected', reason: { kind: 'unavailable', code: 'LogWriteFailed' } },
    ])
    expect(await keys(log)).toEqual(['a', 'b'])
    row.mend(disk)
    // As long as 'x' was: what followed that, were it still there, would be the next record.
    expect(await log.append([entry('c', 4)])).toEqual({ first: 2, last: 2 })
    await log[Symbol.asyncDispose]()
    expect(await keys(await open(directory))).toEqual(['a', 'b', 'c'])
  })

  test('a segment that cannot be started leaves the last one as it was', async () => {
    const disk = new FaultyDisk()
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory, { disk, maxSegmentBytes: 100 })
    await log.append([entry('a', 1, 200)])
    disk.freeBytes = 10

    await expect(log.append([entry('lost', 2)])).rejects.toMatchObject({ code: 'LogWriteFailed' })
    disk.freeBytes = 1 << 30
    await log.append([entry('b', 3)])
    await log[Symbol.asyncDispose]()

    expect(await keys(await open(directory))).toEqual(['a', 'b'])
  })
})

describe('segments', () => {
  test('a segment ends by age too', async () => {
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory, { maxSegmentAgeMs: 100 })
    for (const time of [0, 50, 99, 100, 150, 200]) await log.append([entry('x', time)])

    const names = (await readdir(directory)).filter((name) => name.endsWith('.log'))

    expect(names).toEqual(['0000000000000000.log', '0000000000000003.log', '0000000000000005.log'])
  })

  test('trimmed segments are gone from the disk, with their indexes', async () => {
    const directory = join(await scratchDirectory(), 'log')
    const log = await open(directory, { maxSegmentAgeMs: 100 })
    for (const time of [0, 100, 200, 300]) await log.append([entry('x', time)])

    await log.trimBefore(epochMs(250))

    expect((await readdir(directory)).sort()).toEqual(['0000000000000003.log'])
    expect([log.firstIndex, log.nextIndex]).toEqual([3, 4])
  })

  test('start reads no sealed segment', async () => {
    const directory = await closedLog(60, { maxSegmentBytes: 1000 })
    const disk = new FaultyDisk()
    const opened: string[] = []
    const { open: openFile } = disk
    const watching = Object.assign(disk, {
      open: (path: string, flags: 'r' | 'r+' | 'w+') => {
        opened.push(path)
        return openFile(path, flags)
      },
    })

    await open(directory, { disk: watching, maxSegmentBytes: 1000 })

    const last = (await readdir(directory))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1)!
    expect(new Set(opened)).toEqual(new Set([join(directory, last)]))
  })
})
