import type { MetaStore } from '../../platform/meta-store.ts'
import { Catalogue } from '../catalogue.ts'
import { nodeChunkStore } from '../node-chunk-store.ts'
import { checkArchive, type FsckOptions } from './check-archive.ts'
import type { FsckReport } from './finding.ts'
import { rebuildArchive } from './rebuild.ts'

export type { FsckCode, FsckFinding, FsckReport } from './finding.ts'
export type { FsckOptions } from './check-archive.ts'

/** The archive on disk, without the service: its directory and the MetaStore, which it holds. */
export type FsckTarget = { readonly directory: string; readonly meta: MetaStore }

/** Checks rows, files and sidecars against each other, and the media's bytes where asked. */
export function fsck({ directory, meta }: FsckTarget, options: FsckOptions): Promise<FsckReport> {
  return checkArchive({ directory, files: nodeChunkStore, catalogue: new Catalogue(meta) }, options)
}

/** Makes all sidecars and the archive's rows again from the Matroska files: see rebuildArchive. */
export function rebuildIndex({ directory, meta }: FsckTarget): Promise<FsckReport> {
  return rebuildArchive({ directory, files: nodeChunkStore, catalogue: new Catalogue(meta) })
}
