import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findDamagedTable, findLevelDamage } from '../../../src/platform/level/check-files.ts'
import { crc32c } from '../../../src/platform/level/crc32c.ts'
import { readLog } from '../../../src/platform/level/log-records.ts'
import { decompressSnappy } from '../../../src/platform/level/snappy.ts'
import { openLevelMetaStore, type MetaStore } from '../../../src/platform/meta-store.ts'
import { scratchDirectory } from '../../support/scratch.ts'

const ROWS = 60

/** Rows in tables and, of the last start, in a log. */
async function filledStore() {
  const directory = join(await scratchDirectory(), 'meta')
  for (const round of [0, 1]) {
    await using meta = await openLevelMetaStore(directory)
    for (let i = 0; i < ROWS; i++) {
      const value = { round, text: `row ${i} of the round `.repeat(60) }
      await meta.commit({ puts: [{ key: ['row', round, i], value }] })
    }
  }
  return directory
}

async function count(meta: MetaStore): Promise<number> {
  let rows = 0
  for await (const _ of meta.entries({ prefix: ['row'] })) rows++
  return rows
}

async function only(directory: string, pattern: RegExp): Promise<string> {
  const names = (await readdir(directory)).filter((name) => pattern.test(name))
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(directory, name))).size),
  )
  return join(directory, names[sizes.indexOf(Math.max(...sizes))]!)
}

const LOG = /\.log$/
const TABLE = /\.ldb$/
const MANIFEST = /^MANIFEST/

async function flip(path: string, at: number) {
  const bytes = await readFile(path)
  const place = Math.floor(bytes.length * at)
  bytes[place]! ^= 0x10
  await writeFile(path, bytes)
}

describe('a start with damaged metadata is refused, and says how to go on', () => {
  test.each([
    {
      what: 'a bit in the middle of a log',
      harm: async (d: string) => flip(await only(d, LOG), 0.5),
    },
    { what: 'a bit at the start of a log', harm: async (d: string) => flip(await only(d, LOG), 0) },
    { what: 'a log that is gone', harm: async (d: string) => rm(await only(d, LOG)) },
    { what: 'a table that is gone', harm: async (d: string) => rm(await only(d, TABLE)) },
    {
      what: 'a table cut short',
      harm: async (d: string) => {
        const path = await only(d, TABLE)
        await truncate(path, (await stat(path)).size - 1)
      },
    },
    { what: 'an empty table', harm: async (d: string) => truncate(await only(d, TABLE), 0) },
    {
      what: 'a bit of the MANIFEST',
      harm: async (d: string) => flip(await only(d, MANIFEST), 0.2),
    },
    { what: 'no MANIFEST', harm: async (d: string) => rm(await only(d, MANIFEST)) },
    { what: 'an empty MANIFEST', harm: async (d: string) => truncate(await only(d, MANIFEST), 0) },
    { what: 'a bit of CURRENT', harm: async (d: string) => flip(join(d, 'CURRENT'), 0.7) },
    { what: 'an empty CURRENT', harm: async (d: string) => truncate(join(d, 'CURRENT'), 0) },
    { what: 'no CURRENT', harm: async (d: string) => rm(join(d, 'CURRENT')) },
  ])('$what', async ({ harm }) => {
    const directory = await filledStore()
    await harm(directory)
    const before = (await readdir(directory)).sort()

    await expect(openLevelMetaStore(directory)).rejects.toMatchObject({
      kind: 'data-loss',
      code: 'MetaStoreCorrupted',
      message: expect.stringContaining('kinora fsck --rebuild') as string,
    })

    expect((await readdir(directory)).sort()).toEqual(before) // nothing was tidied up
  })

  test('every bit of the MANIFEST and of CURRENT counts', async () => {
    const directory = await filledStore()
    const path = await only(directory, MANIFEST)
    const current = join(directory, 'CURRENT')
    for (const file of [path, current]) {
      const bytes = await readFile(file)
      const missed: number[] = []
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Buffer.from(bytes)
        damaged[at]! ^= 1
        await writeFile(file, damaged)
        if ((await findLevelDamage(directory)) === null) missed.push(at)
      }
      await writeFile(file, bytes)
      expect(missed).toEqual([])
    }
  })

  test('a bit of a table, which LevelDB reads over', async () => {
    const directory = await filledStore()
    expect(await findDamagedTable(directory)).toBeNull()
    const path = await only(directory, TABLE)
    const bytes = await readFile(path)
    for (const at of [0, 100, bytes.length >> 1, bytes.length - 60, bytes.length - 1]) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 1
      await writeFile(path, damaged)
      expect(await findDamagedTable(directory)).toContain('.ldb')
      expect(await findLevelDamage(directory)).toContain('.ldb') // these are new
    }
  })
})

describe('a start is not refused', () => {
  test('without anything, or with an empty folder', async () => {
    const directory = await scratchDirectory()
    expect(await findLevelDamage(directory)).toBeNull()
    expect(await findLevelDamage(join(directory, 'none'))).toBeNull()
  })

  test('while another process holds it: that is said instead', async () => {
    const directory = await filledStore()
    await using _ = await openLevelMetaStore(directory)

    await expect(openLevelMetaStore(directory)).rejects.toMatchObject({
      code: 'DataDirectoryInUse',
    })
  })

  test('wherever the power tore the last commit', async () => {
    const directory = await filledStore()
    const log = await only(directory, LOG)
    const { size } = await stat(log)
    const copy = `${directory}-copy`
    for (const cut of [1, 5, 700]) {
      await rm(copy, { recursive: true, force: true })
      await cp(directory, copy, { recursive: true })
      await truncate(await only(copy, LOG), size - cut)
      await using meta = await openLevelMetaStore(copy)
      expect(await count(meta)).toBe(2 * ROWS - 1)
    }
  })

  test('when pieces of the last commit are there and others are not', () => {
    const bytes = Buffer.concat([
      Buffer.from('not a record, but a block of the one commit that was torn').fill(0, 20),
      Buffer.alloc(32_768 - 57),
      // The commit's next piece, of type MIDDLE.
      Buffer.from('00000000' + '0000' + '03', 'hex'),
    ])
    expect(readLog(bytes)).toEqual({ records: [], damagedAt: null })
  })
})

test('CRC-32C is that of RFC 3720', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a91_36aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd_794e)
  expect(crc32c(Buffer.from('1234'), Buffer.from('56789'))).toBe(0xe306_9283)
})

test.each([
  { rule: 'a literal', hex: '03 08 616263', text: 'abc' },
  {
    rule: 'a copy that overlaps itself',
    hex: '0a 04 6162 11 02',
    text: 'ababababab',
  },
  { rule: 'a copy with two bytes of distance', hex: '08 0c 61626364 0e 0400', text: 'abcdabcd' },
])('snappy: $rule', ({ hex, text }) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')

  expect(Buffer.from(decompressSnappy(bytes)).toString()).toBe(text)
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decompressSnappy(bytes.subarray(0, length))).toThrow(RangeError)
  }
})
