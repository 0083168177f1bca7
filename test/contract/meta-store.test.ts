import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { MemoryMetaStore } from '../support/memory-meta-store.ts'
import { scratchDirectory, untilTestEnds } from '../support/scratch.ts'
import { metaStoreContract } from './meta-store.contract.ts'

metaStoreContract('LevelDB', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'meta-store-'))
  return {
    open: () => openLevelMetaStore(join(directory, 'meta')),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
})

metaStoreContract('the stand-in that loses power', async () => {
  const contents = { entries: [] }
  return {
    open: async () => new MemoryMetaStore(contents),
    [Symbol.asyncDispose]: async () => {},
  }
})

test('LevelDB: a second opener is told that the folder is in use', async () => {
  const directory = await scratchDirectory()
  untilTestEnds(await openLevelMetaStore(directory))

  await expect(openLevelMetaStore(directory)).rejects.toMatchObject({
    kind: 'conflict',
    code: 'DataDirectoryInUse',
  })
})
