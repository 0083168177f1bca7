import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

/** Whether a program can be run; when not, says once why the suite that needs it is left out. */
export function isInstalled(program: string, versionFlag = '--version'): boolean {
  const { error } = spawnSync(program, [versionFlag], { stdio: 'ignore' })
  if (error !== undefined) console.warn(`skipped: ${program} is not installed`)
  return error === undefined
}

/** A file of ../shared, or null (said once) where that folder is not there. */
export function sharedFile(path: string): string | null {
  const full = resolve(import.meta.dirname, '../../../shared', path)
  if (existsSync(full)) return full
  console.warn(`skipped: ../shared/${path} is not there`)
  return null
}
