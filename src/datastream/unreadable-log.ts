import type { ShardLog } from './shard-log.ts'

/** Stands for a log that could not be opened: everything fails with the reason, nothing is changed. */
export function createUnreadableLog(reason: unknown): ShardLog {
  const fail = () => Promise.reject(reason)
  return {
    firstIndex: 0,
    nextIndex: 0,
    append: fail,
    read: fail,
    seekTime: fail,
    trimBefore: fail,
    storedBytes: () => Promise.resolve(0), // nobody can tell
    seal: fail,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
