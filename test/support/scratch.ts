import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'

/** A folder that is gone when the test is. */
export async function scratchDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kinora-test-'))
  onTestFinished(async () => {
    await rm(directory, { recursive: true, force: true })
  })
  return directory
}

/** Disposes after the test, in reverse order of the calls; a part disposed before is fine. */
export function untilTestEnds<T extends AsyncDisposable>(part: T): T {
  onTestFinished(async () => {
    await part[Symbol.asyncDispose]()
  })
  return part
}

export async function scratchMetaStore(): Promise<MetaStore> {
  return untilTestEnds(await openLevelMetaStore(await scratchDirectory()))
}
