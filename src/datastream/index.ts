export type * from './data-streams.ts'
export type * from './shard-log.ts'
