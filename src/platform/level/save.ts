import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { ServiceError } from '../../domain/errors.ts'
import { findDamagedTable, findLevelDamage } from './check-files.ts'
import { findTableDamage, soundEntries, type TableEntry } from './table-check.ts'

export type SavedLevel = {
  /** What was found, for people. */
  readonly damage: string
  /** Where the folder as it was is kept. */
  readonly copy: string
}

/**
 * Makes a damaged LevelDB one that opens again, with all of it that can still be read:
 *
 *   1. the folder is copied as it is
 *   2. tables with a damaged block go, because LevelDB's repair would believe what is in it
 *   3. LevelDB's repair makes a MANIFEST for the other tables and the logs
 *   4. what stood in sound blocks of the tables that went is put back where no key is
 *
 * What was deleted in a later table than one that went may be there again.
 *
 * @param at names the copy
 * @returns `null` when nothing is wrong with it
 * @throws ServiceError `conflict`/`DataDirectoryInUse`
 */
export async function saveDamagedLevel(directory: string, at: Date): Promise<SavedLevel | null> {
  const damage = (await findLevelDamage(directory)) ?? (await findDamagedTable(directory))
  if (damage === null) return null
  if (await isHeld(directory)) {
    const message = `Another process uses ${directory}: stop it first.`
    throw new ServiceError('conflict', 'DataDirectoryInUse', message)
  }
  const copy = `${directory}-damaged-${at.toISOString().replace(/[-:]|\.\d+/g, '')}`
  await cp(directory, copy, { recursive: true, errorOnExist: true, force: false })
  const entries = await takeDamagedTables(directory)
  await ClassicLevel.repair(directory)
  await putBack(directory, entries)
  return { damage, copy }
}

/** By key, as the last commit that can be read left it. */
async function takeDamagedTables(directory: string): Promise<ReadonlyMap<string, TableEntry>> {
  const latest = new Map<string, TableEntry>()
  for (const name of await readdir(directory)) {
    if (!/\.(?:ldb|sst)$/.test(name)) continue
    const path = join(directory, name)
    const bytes = await readFile(path)
    if (findTableDamage(bytes) === null) continue
    for (const entry of soundEntries(bytes)) {
      const key = entry.key.toString('latin1')
      const known = latest.get(key)
      if (known === undefined || known.sequence < entry.sequence) latest.set(key, entry)
    }
    await rm(path)
  }
  return latest
}

async function putBack(directory: string, entries: ReadonlyMap<string, TableEntry>): Promise<void> {
  const db = new ClassicLevel<Buffer, Buffer>(directory, {
    ...{ keyEncoding: 'buffer', valueEncoding: 'buffer' },
  })
  await db.open()
  try {
    for (const { key, value } of entries.values()) {
      if (value !== null && db.getSync(key) === undefined) await db.put(key, value)
    }
  } finally {
    await db.close()
  }
}

/** Whether another process has it open: another database is opened with its lock. */
async function isHeld(directory: string): Promise<boolean> {
  const scratch = await mkdtemp(join(tmpdir(), 'kinora-lock-'))
  try {
    await symlink(join(directory, 'LOCK'), join(scratch, 'LOCK'))
    const probe = new ClassicLevel(scratch)
    await probe.open()
    await probe.close()
    return false
  } catch (error) {
    const { cause = error } = error as { cause?: unknown }
    if ((cause as { code?: string }).code === 'LEVEL_LOCKED') return true
    throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
