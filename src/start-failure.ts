import { ServiceError } from './domain/errors.ts'

/**
 * Waits for a part that a setting can keep from starting, and turns the system's error into a
 * message that names the setting: who starts the service reads that, not a stack.
 *
 * @param settings as in the configuration file, for example `http.host, http.port`
 * @throws ServiceError `unavailable`/`CannotStart`; a ServiceError of the part as it is
 */
export async function blaming<T>(settings: string, start: () => T | Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const reason = error instanceof ServiceError ? null : toReason(error)
    if (reason === null) throw error
    throw new ServiceError('unavailable', 'CannotStart', `${settings}: ${reason}`, { cause: error })
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program',
  EADDRNOTAVAIL: 'is no address of this machine',
  ENOTFOUND: 'is no known host name',
  EAI_AGAIN: 'cannot be resolved now',
  EACCES: 'may not be used: permission denied',
  EPERM: 'may not be used: operation not permitted',
  EROFS: 'is on a read-only file system',
  ENOSPC: 'finds no space left on the disk',
  EDQUOT: 'finds the disk quota used up',
  ENOENT: 'is not there',
  ENOTDIR: 'is not a folder',
  EEXIST: 'is not a folder',
  EISDIR: 'is a folder',
}

/** `null` for what no setting can be blamed for: then the stack is the message. */
function toReason(error: unknown): string | null {
  const { code, message, address, port, hostname, path } = error as NodeJS.ErrnoException & {
    readonly address?: string
    readonly port?: number
    readonly hostname?: string
  }
  if (code === undefined) return null
  if (code.startsWith('ERR_OSSL') || code.startsWith('ERR_SSL')) return message
  const reason = REASONS[code]
  if (reason === undefined) return null
  const listening = address !== undefined && port !== undefined ? `${address}:${port}` : address
  const place = listening ?? hostname ?? path
  return place === undefined ? reason : `${place} ${reason}`
}
