import { readFile } from 'node:fs/promises'
import type { Config } from './config/index.ts'

/**
 * The configuration's secrets by the ARNs that clients of AWS name them with:
 * `arn:aws:secretsmanager:<region>:<account>:secret:<name>`, with or without the six characters that
 * the service appends to a name. Files are read when they are asked for.
 */
export function createLocalSecrets(secrets: Config['secrets']) {
  return async (arn: string): Promise<string | null> => {
    const name = arn.slice(arn.lastIndexOf(':') + 1)
    const bare = name.replace(/-[a-zA-Z0-9]{6}$/, '')
    const secret =
      secrets.find((each) => each.name === name) ?? secrets.find((each) => each.name === bare)
    if (secret?.file !== undefined) return readFile(secret.file, 'utf8')
    return secret?.value ?? null
  }
}
