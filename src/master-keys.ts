import { hkdfSync } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { Config } from './config/index.ts'
import {
  createKeyCommand,
  DEFAULT_KEY_ID,
  MasterKeys,
  type KeyWrapper,
} from './datastream/index.ts'
import { ServiceError } from './domain/errors.ts'

/**
 * The keys that wrap the data keys of encrypted data streams.
 *
 * @param secret hex; what the service's own key is derived from
 * @throws ServiceError `invalid-argument`/`InvalidConfig`
 */
export function readMasterKeys({ dataStreams }: Config, secret: string): MasterKeys {
  const own = Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'hex'), '', 'data streams', 32))
  const keys = new Map<string, Uint8Array | KeyWrapper>([[DEFAULT_KEY_ID, own]])
  for (const { keyId, file, command } of dataStreams.keys) {
    if (command !== undefined && file === undefined) {
      keys.set(keyId, createKeyCommand(command))
      continue
    }
    if (file === undefined || command !== undefined) {
      throw new ServiceError(
        'invalid-argument',
        'InvalidConfig',
        `dataStreams.keys: ${keyId} has either a file or a command`,
      )
    }
    const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
    if (!/^[0-9a-f]{64}$/i.test(text)) {
      throw new ServiceError(
        'invalid-argument',
        'InvalidConfig',
        `dataStreams.keys: the file of ${keyId} does not hold 64 hexadecimal digits`,
      )
    }
    keys.set(keyId, Buffer.from(text, 'hex'))
  }
  return new MasterKeys(keys)
}
