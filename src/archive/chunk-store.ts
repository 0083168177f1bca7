/**
 * Where the bytes of chunks and their sidecars lie, growing and finished: what the archive asks of a
 * file system, and what another engine has to bring. test/contract/chunk-store.contract.ts is the
 * contract; test engines fail at a chosen step or lose power.
 *
 * Paths are absolute, `/` between the parts. Errors carry the system's codes: see
 * {@link isFileError}. What is not synced may be lost wholly or in part, and in any order.
 */
export interface ChunkStore {
  /**
   * `wx+` creates and fails with EEXIST when it exists; `r+` and `r` fail with ENOENT when it does
   * not. A created name is on disk after {@link syncDirectory}.
   */
  open(path: string, flags: 'wx+' | 'r+' | 'r'): Promise<ChunkStoreFile>
  /** With its parents; every name is on disk when it resolves. */
  makeDirectory(path: string): Promise<void>
  /** Names created in it and unlinked from it are on disk, and gone from it, when it resolves. */
  syncDirectory(path: string): Promise<void>
  /** Fails with ENOENT when it does not exist. Who has it open can go on reading. */
  unlink(path: string): Promise<void>
  /** Leaves a directory that is not empty or not there. */
  removeEmptyDirectory(path: string): Promise<void>
  /** The paths of all files below a directory, in no order; none when it is not there. */
  list(path: string): AsyncIterable<string>
}

export interface ChunkStoreFile {
  /**
   * All of the parts one after the other, in one call to the system as a rule. A failure may leave
   * any part of them.
   */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  /**
   * Shorter than `length` at the end of the file.
   *
   * @param memory `length` bytes that the answer may lie in; else it has its own
   */
  read(position: number, length: number, memory?: Buffer): Promise<Buffer>
  size(): Promise<number>
  truncate(length: number): Promise<void>
  /** fdatasync: contents and length are on disk when it resolves. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The code that the system gives: ENOENT, EEXIST, ENOSPC and the like. */
export function isFileError(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}
