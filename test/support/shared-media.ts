import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Path of a clip beside the project, or `null` (and a printed reason) when it is not there. */
export function sharedMedia(name: string): string | null {
  const path = fileURLToPath(new URL(`../../../shared/media/${name}`, import.meta.url))
  if (existsSync(path)) return path
  console.warn(`skipped: ${path} is not there`)
  return null
}
