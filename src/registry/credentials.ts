import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'

/** Secrets that the service makes for itself at the first start. */
export type Credentials = {
  /** For the AWS-compatible APIs when the configuration names no keys. */
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** 32 bytes, hex: seals playback tokens, console sessions and shard iterators. */
  readonly sealingKey: string
}

const FILE = 'credentials.json'

/** Reads the data directory's credentials (mode 0600), or makes them; durable before it resolves. */
export async function openCredentials(dataDirectory: string): Promise<Credentials> {
  const path = join(dataDirectory, FILE)
  const existing = await readIfThere(path)
  if (existing !== null) return parseCredentials(existing, path)
  const credentials: Credentials = {
    accessKeyId: `KNR${randomBytes(20).toString('hex').toUpperCase().slice(0, 17)}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
    sealingKey: randomBytes(32).toString('hex'),
  }
  await mkdir(dataDirectory, { recursive: true })
  const file = await open(`${path}.partial`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(credentials, null, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.partial`, path)
  return credentials
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function parseCredentials(text: string, path: string): Credentials {
  try {
    const value = JSON.parse(text) as Partial<Credentials>
    const { accessKeyId, secretAccessKey, sealingKey } = value
    if (accessKeyId && secretAccessKey && /^[0-9a-f]{64}$/.test(sealingKey ?? '')) {
      return { accessKeyId, secretAccessKey, sealingKey: sealingKey! }
    }
  } catch {
    // Said below, without the text: it holds secrets.
  }
  throw new ServiceError(
    'data-loss',
    'CredentialsUnreadable',
    `${path} is not readable as credentials.`,
  )
}
