import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readLog } from './log-records.ts'
import { addUpEdits, type LevelVersion } from './manifest.ts'
import { findTableDamage } from './table-check.ts'

/**
 * Looks at a LevelDB that nobody has open, because LevelDB itself opens one with less in it when a
 * log is damaged in its middle or gone, or when CURRENT is gone:
 *
 *   1. CURRENT names a MANIFEST, whose records are whole
 *   2. every table is there, as long as the MANIFEST says
 *   3. the log that the MANIFEST names is there, and it and later ones are whole up to their last
 *      record, which a power failure may have torn
 *   4. every block of the newest tables is as it was written, up to {@link CHECKED_AT_START_BYTES}
 *
 * Older tables are as long as they should be; what is in them {@link findDamagedTable} reads.
 *
 * @returns what is wrong, for people; `null`: nothing is
 */
export function findLevelDamage(directory: string): Promise<string | null> {
  return missingIsDamage(async () => findAnyDamage(directory))
}

async function findAnyDamage(directory: string): Promise<string | null> {
  const names = await namesIn(directory)
  const found = await readVersion(directory, names)
  if (found === null || typeof found === 'string') return found
  const { tables, logNumber } = found
  const damages = await Promise.all(
    [...tables].map(([number, length]) => findTableMissing(directory, names, number, length)),
  )
  const damage = damages.find((text) => text !== null)
  if (damage !== undefined) return damage
  const logs = names.filter((name) => LOG.test(name) && Number.parseInt(name, 10) >= logNumber)
  if (logNumber > 0 && !logs.some((name) => Number.parseInt(name, 10) === logNumber)) {
    return `${toName(logNumber, 'log')} is missing`
  }
  for (const name of logs) {
    const { damagedAt } = readLog(await readFile(join(directory, name)))
    if (damagedAt !== null) return `${name} is damaged at byte ${damagedAt}`
  }
  return findDamagedBlock(directory, found, CHECKED_AT_START_BYTES)
}

/** A tenth of a second, and all that there is of some eighty thousand chunks. */
const CHECKED_AT_START_BYTES = 16 * 1024 * 1024

/** Reads every block of every table of a LevelDB that nobody has open. */
export function findDamagedTable(directory: string): Promise<string | null> {
  return missingIsDamage(async () => {
    const version = await readVersion(directory, await namesIn(directory))
    if (version === null || typeof version === 'string') return version
    return findDamagedBlock(directory, version, Infinity)
  })
}

/** A file may go between two looks, when another process has the database open after all. */
async function missingIsDamage(find: () => Promise<string | null>): Promise<string | null> {
  try {
    return await find()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return message
    throw error
  }
}

/** The newest tables first. */
async function findDamagedBlock(
  directory: string,
  { tables }: LevelVersion,
  mostBytes: number,
): Promise<string | null> {
  const names = await namesIn(directory)
  let checkedBytes = 0
  let memory = Buffer.alloc(0) // one for all: fresh memory for each would stay with the process
  for (const [number, length] of [...tables].sort(([a], [b]) => b - a)) {
    checkedBytes += length
    if (checkedBytes > mostBytes) return null
    const name = tableName(names, number)
    if (name === null) return `${toName(number, 'ldb')} is missing`
    if (memory.length < length) memory = Buffer.allocUnsafeSlow(length)
    const bytes = await readStart(join(directory, name), memory.subarray(0, length))
    const damage = findTableDamage(bytes)
    if (damage !== null) return `${name}: ${damage}`
  }
  return null
}

/** @returns as much of the memory as the file has bytes for */
async function readStart(path: string, memory: Buffer): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    let filled = 0
    while (filled < memory.length) {
      const { bytesRead } = await file.read(memory, filled, memory.length - filled, filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return memory.subarray(0, filled)
  } finally {
    await file.close()
  }
}

/** `null`: there is no database yet; a text: why it cannot be told what it has. */
async function readVersion(
  directory: string,
  names: readonly string[],
): Promise<LevelVersion | string | null> {
  if (!names.includes('CURRENT')) {
    const held = names.find((name) => LOG.test(name) || TABLE.test(name))
    return held === undefined ? null : `CURRENT is missing beside ${held}`
  }
  const current = await readFile(join(directory, 'CURRENT'), 'latin1')
  const manifest = current.slice(0, -1)
  if (!/^MANIFEST-\d+\n$/.test(current)) return 'CURRENT is damaged'
  if (!names.includes(manifest)) return `CURRENT names ${manifest}, which is missing`
  const { records, damagedAt } = readLog(await readFile(join(directory, manifest)))
  if (damagedAt !== null) return `${manifest} is damaged at byte ${damagedAt}`
  if (records.length === 0) return `${manifest} is empty`
  try {
    return addUpEdits(records)
  } catch (error) {
    if (error instanceof RangeError) return `${manifest} is damaged: ${error.message}`
    throw error
  }
}

async function findTableMissing(
  directory: string,
  names: readonly string[],
  number: number,
  length: number,
): Promise<string | null> {
  const name = tableName(names, number)
  if (name === null) return `${toName(number, 'ldb')} is missing`
  const { size } = await stat(join(directory, name))
  return size === length ? null : `${name} has ${size} bytes instead of ${length}`
}

const LOG = /^\d+\.log$/
const TABLE = /^\d+\.(?:ldb|sst)$/

/** Older versions of LevelDB called them sst. */
function tableName(names: readonly string[], number: number): string | null {
  const candidates = [toName(number, 'ldb'), toName(number, 'sst')]
  return candidates.find((name) => names.includes(name)) ?? null
}

function toName(number: number, extension: string): string {
  return `${String(number).padStart(6, '0')}.${extension}`
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
