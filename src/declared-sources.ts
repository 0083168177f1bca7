import { readFile } from 'node:fs/promises'
import type { Config } from './config/index.ts'
import type { NewSource } from './registry/index.ts'

/** The sources that the configuration declares, with the passwords that it keeps in files. */
export async function readDeclaredSources(
  declared: Config['sources'],
): Promise<readonly NewSource[]> {
  return Promise.all(
    declared.map(async ({ passwordFile, ...source }) => {
      if (passwordFile === undefined) return source
      return { ...source, password: (await readFile(passwordFile, 'utf8')).trimEnd() }
    }),
  )
}
