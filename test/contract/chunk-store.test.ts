import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import { PowerLossDisk } from '../support/power-loss.ts'
import { chunkStoreContract } from './chunk-store.contract.ts'

chunkStoreContract('the file system', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'chunk-store-'))
  return {
    ...{ store: nodeChunkStore, directory },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
})

chunkStoreContract('the disk that loses power', async () => {
  const { store } = new PowerLossDisk()
  await store.makeDirectory('/media')
  return { store, directory: '/media', [Symbol.asyncDispose]: async () => {} }
})
