import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSegmentLog } from '../../src/datastream/index.ts'
import { shardLogContract } from './shard-log.contract.ts'

for (const trimUnitBytes of [4 * 1024, 1024 * 1024]) {
  shardLogContract(`segment files of ${trimUnitBytes} bytes`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'shard-log-'))
    return {
      open: () => openSegmentLog(join(directory, 'log'), { maxSegmentBytes: trimUnitBytes }),
      trimUnitBytes,
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
    }
  })
}
