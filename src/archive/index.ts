export type * from './archive.ts'
