export type * from './archive.ts'
export { openArchive, type ArchiveDeps } from './chunk-archive.ts'
