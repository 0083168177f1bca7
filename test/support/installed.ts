import { spawnSync } from 'node:child_process'

/** Whether a command can be run here; prints why its tests are skipped when it cannot. */
export function isInstalled(command: string): boolean {
  const found = spawnSync(command, ['-version'], { stdio: 'ignore' }).error === undefined
  if (!found) console.warn(`skipped: ${command} is not installed`)
  return found
}
