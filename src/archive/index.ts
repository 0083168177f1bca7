export type * from './archive.ts'
export { openArchive, type ArchiveDeps } from './chunk-archive.ts'
export {
  fsck,
  rebuildIndex,
  type FsckCode,
  type FsckFinding,
  type FsckOptions,
  type FsckReport,
  type FsckTarget,
} from './fsck/index.ts'
