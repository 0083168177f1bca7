import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { KinesisVideoAccess } from '../client/index.ts'
import { toHttpUrl, type Config } from '../config/index.ts'
import { ServiceError } from '../domain/errors.ts'
import { openCredentials } from '../registry/index.ts'

/** The running service, as the first access key of the configuration, else the data directory's. */
export async function readVideoAccess(config: Config): Promise<KinesisVideoAccess> {
  return {
    endpoint: process.env.KINORA_URL ?? toHttpUrl(config),
    region: config.aws.region,
    credentials: config.auth.accessKeys[0] ?? (await openCredentials(config.dataDirectory)),
  }
}

/** Runs until the end, or until SIGINT or SIGTERM aborts the signal. */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stopping = new AbortController()
  const stop = () => stopping.abort(new ServiceError('unavailable', 'Interrupted', 'Interrupted.'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await run(stopping.signal)
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

/**
 * Writes to a file, which is there once it is whole, or to standard output. Whoever reads that may
 * leave at any time.
 *
 * @param path `undefined` or `-`: standard output
 * @throws ServiceError `unavailable`/`CannotWrite`; what the parts throw
 */
export async function writeOut(
  parts: AsyncIterable<Uint8Array>,
  path: string | undefined,
): Promise<void> {
  if (path === undefined || path === '-') {
    await pipeline(Readable.from(parts), process.stdout, { end: false }).catch(ignoreClosedPipe)
    return
  }
  const partial = `${path}.partial`
  try {
    await pipeline(Readable.from(parts), createWriteStream(partial))
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw isOfFiles(error)
      ? new ServiceError('unavailable', 'CannotWrite', `Cannot write ${path}: ${error.code}.`)
      : error
  }
}

function ignoreClosedPipe(error: unknown): void {
  if (!isOfFiles(error) || error.code !== 'EPIPE') throw error
}

function isOfFiles(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
