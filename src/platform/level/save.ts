import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { ServiceError } from '../../domain/errors.ts'
import { findDamagedTable, findLevelDamage } from './check-files.ts'

export type SavedLevel = {
  /** What was found, for people. */
  readonly damage: string
  /** Where the folder as it was is kept. */
  readonly copy: string
}

/**
 * Makes a damaged LevelDB one that opens again, with all of it that can still be read: LevelDB's own
 * repair goes through its tables and logs one by one and leaves out what is damaged.
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
  await ClassicLevel.repair(directory)
  return { damage, copy }
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
