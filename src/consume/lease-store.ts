/**
 * Timed rights of workers to streams and shards, and what they have finished. One engine keeps them
 * in the MetaStore; an engine shared by many machines implements the same interface.
 *
 * Invariants:
 * 1. at most one holder per (application, key) may write its checkpoint: every write is conditional
 *    on owner and epoch, so a holder that was away too long finds out by failing
 * 2. an epoch never comes back: it rises with every change of the holder
 */
export interface LeaseStore extends AsyncDisposable {
  /**
   * Takes the lease when it is free, expired, or left behind by a process known to be gone.
   *
   * @returns `null` while somebody else holds it
   */
  take(application: string, key: string): Promise<HeldLease | null>
  /** The last saved position, whoever saved it. */
  readCheckpoint<P>(application: string, key: string): P | null
  /**
   * Saves first positions, all or none: only where not one of the keys has a checkpoint.
   *
   * @returns whether they were saved
   */
  seedCheckpoints(application: string, seeds: readonly CheckpointSeed[]): Promise<boolean>
  /** Every key of the application that has a lease or a checkpoint. */
  list(application: string): Promise<readonly LeaseState[]>
  /** Removes lease and checkpoint of something that is gone. */
  forget(application: string, key: string): Promise<void>
}

export type CheckpointSeed = { readonly key: string; readonly position: unknown }

export type LeaseState = {
  readonly key: string
  readonly owner: LeaseOwner | null
  readonly epoch: number
}

/** One process: a node runs one at a time, and each run of it gets the next instance number. */
export type LeaseOwner = { readonly node: string; readonly instance: number }

/** A lease in hand, renewed by its store until it is released (disposed) or lost. */
export interface HeldLease extends AsyncDisposable {
  readonly application: string
  readonly key: string
  readonly epoch: number
  /** Aborts when the right is gone: stop at once; a checkpoint would fail. */
  readonly lost: AbortSignal
  readCheckpoint<P>(): P | null
  /**
   * Durable when it resolves.
   *
   * @throws ServiceError `conflict`/`LeaseLost` when another holder has taken over
   */
  saveCheckpoint(position: unknown): Promise<void>
}
