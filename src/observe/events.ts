import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/**
 * Every business event that the service reports, one function each: the log line and the counters
 * live side by side and cannot drift. Labels are few and bounded; ids go to the log only.
 */
export type Events = ReturnType<typeof createEvents>

export function createEvents(log: Log, metrics: Metrics) {
  return {
    sessionStarted(e: { protocol: string; stream: string; peer: string }) {
      metrics.ingestSessions.inc({ protocol: e.protocol })
      log.info(e, 'ingest session started')
    },
    /** Only for sessions that were announced by {@link sessionStarted}. */
    sessionEnded(e: { protocol: string; stream: string; peer: string; reason: string }) {
      metrics.ingestSessions.dec({ protocol: e.protocol })
      metrics.ingestSessionsEnded.inc({ protocol: e.protocol, reason: e.reason })
      log.info(e, 'ingest session ended')
    },
    /** A peer that never became a publisher: garbage, wrong key, taken stream. */
    sessionRefused(e: { protocol: string; peer: string; reason: string; detail: string }) {
      metrics.ingestSessionsEnded.inc({ protocol: e.protocol, reason: e.reason })
      log.warn(e, 'ingest session refused')
    },
    /** Media of a pulled source comes. */
    sourcePublishing(e: { stream: string; failedAttempts: number }) {
      metrics.sourcePublishing.set({ stream: e.stream }, 1)
      log.info(e, 'source publishes')
    },
    sourceStopped(e: { stream: string }) {
      metrics.sourcePublishing.set({ stream: e.stream }, 0)
    },
    /** An attempt at a source ended and another follows. `isNews`: not for the same reason again. */
    sourceFailed(e: {
      stream: string
      reason: string
      message: string
      isNews: boolean
      failedAttempts: number
      retryInMs: number
      /** Of a cause of ours, such as `ArchiveDiskFull`. */
      code?: string
      stack?: string
    }) {
      const { isNews, ...fields } = e
      metrics.sourcePublishing.set({ stream: e.stream }, 0)
      metrics.sourceReconnects.inc({ stream: e.stream, reason: e.reason })
      if (isNews) log.warn(fields, 'source failed')
      else log.debug(fields, 'source failed again')
    },
    /** Removed or disabled. */
    sourceNotCalled(e: { stream: string }) {
      metrics.sourcePublishing.remove({ stream: e.stream })
      log.info(e, 'source is not called any more')
    },
    /** A clip goes out without a fragment that cannot be read or sent. */
    clipFragmentLeftOut(e: {
      stream: string
      fragmentNumber: string
      reason: string
      error: unknown
    }) {
      metrics.playbackFragmentsLeftOut.inc({ stream: e.stream, reason: e.reason })
      log.warn({ ...e, error: undefined, err: e.error }, 'clip without a fragment')
    },
    samplesDropped(e: { stream: string; count: number; reason: string }) {
      metrics.ingestSamplesDropped.inc({ stream: e.stream, reason: e.reason }, e.count)
      log.warn(e, 'samples dropped')
    },
    /** Media that never arrived: counted by places, since nobody knows how many samples it was. */
    mediaLost(e: { stream: string; count: number }) {
      metrics.ingestLosses.inc({ stream: e.stream }, e.count)
      log.warn(e, 'media lost on the way')
    },
    /** Once a session: key frames are this far apart, or farther when that is a fragment's limit. */
    longGop(e: { stream: string; gopMs: number; maxFragmentMs: number }) {
      log.warn(e, 'key frames are far apart')
    },
    fragmentPersisted(e: {
      stream: string
      fragmentNumber: string
      sizeBytes: number
      latencyMs: number
    }) {
      metrics.archiveFragments.inc({ stream: e.stream })
      metrics.archiveBytes.inc({ stream: e.stream }, e.sizeBytes)
      metrics.archivePersistSeconds.observe(e.latencyMs / 1000)
      log.debug(e, 'fragment persisted')
    },
    fragmentLost(e: { stream: string; fragmentNumber: string; reason: string; error?: unknown }) {
      metrics.archiveFragmentsLost.inc({ stream: e.stream, reason: e.reason })
      log.error({ ...e, error: undefined, err: e.error }, 'fragment lost')
    },
    chunkRecovered(e: { stream: string; chunkId: string; fragments: number; cutBytes: number }) {
      log.warn(e, 'chunk recovered')
    },
    /** A finished chunk is not as it was written; nothing was changed. */
    archiveDamaged(e: { stream: string; chunkId: string; code: string; detail: string }) {
      metrics.archiveCheckFindings.inc({ stream: e.stream, reason: e.code })
      log.error(e, 'archive damaged')
    },
    /** Told once after the start; they are never deleted by themselves. */
    orphanFiles(e: { count: number; examples: readonly string[] }) {
      metrics.archiveOrphanFiles.set(e.count)
      if (e.count > 0) log.warn(e, 'files in the archive that no row names')
    },
    chunkRemoved(e: { stream: string; chunkId: string; reason: string; sizeBytes: number }) {
      metrics.archiveChunksRemoved.inc({ stream: e.stream, reason: e.reason })
      log.info(e, 'chunk removed')
    },
    /** Media went before its retention was over. */
    chunkEvicted(e: { stream: string; reason: string; sizeBytes: number; upTo: number }) {
      metrics.archiveEvictedBytes.inc({ stream: e.stream, reason: e.reason }, e.sizeBytes)
      log.warn(e, 'chunk evicted for lack of space')
    },
    /** The disk became short of space, full, or well again. */
    archiveSpace(e: { state: string; freeBytes: number; minFreeBytes: number }) {
      if (e.state === 'ok') log.info(e, 'disk space is back')
      else log.error(e, 'disk is short of space and nothing may go')
    },
    rangeDeleted(e: {
      stream: string
      by: string
      from: number
      to: number
      fragments: number
      chunks: number
      bytes: number
    }) {
      metrics.archiveDeletedFragments.inc({ stream: e.stream }, e.fragments)
      log.warn(e, 'range deleted')
    },
    holdAdded(e: { stream: string; id: string; name: string }) {
      log.info(e, 'hold added')
    },
    holdReleased(e: { stream: string; id: string; name: string }) {
      log.info(e, 'hold released')
    },
    framesSkipped(e: { stream: string; count: number; reason: string }) {
      metrics.detectFramesSkipped.inc({ stream: e.stream, reason: e.reason }, e.count)
      log.warn(e, 'frames skipped')
    },
    /** A consumer passed something over: by policy, because it had expired, or after failures. */
    consumerSkipped(e: {
      application: string
      stream: string
      count: number
      reason: string
      error?: unknown
    }) {
      const { application, stream, reason } = e
      metrics.consumeSkipped.inc({ application, stream, reason }, e.count)
      log.warn({ ...e, error: undefined, err: e.error }, 'consumer skipped')
    },
    consumerFailed(e: {
      application: string
      stream: string
      attempt: number
      retryInMs: number
      error: unknown
    }) {
      metrics.consumeFailures.inc({ application: e.application, stream: e.stream })
      log.warn({ ...e, error: undefined, err: e.error }, 'consumer handler failed')
    },
    /** Acknowledged records are damaged on the disk; those behind them are kept. */
    shardLogDamaged(e: {
      stream: string
      shardId: string
      firstIndex: number
      records: number
      bytes: number
    }) {
      metrics.datastreamRecordsDamaged.inc({ stream: e.stream }, e.records)
      log.error(e, 'records of a shard log are damaged')
    },
    shardLogRecovered(e: { stream: string; shardId: string; cutBytes: number; nextIndex: number }) {
      metrics.datastreamLogRecoveries.inc({ stream: e.stream })
      log.warn(e, 'torn tail of a shard log cut off')
    },
    /** One key makes up most of what a busy shard takes; splitting the shard cannot help. */
    hotKey(e: {
      stream: string
      shardId: string
      key: string
      share: number
      bytesPerSecond: number
      recordsPerSecond: number
    }) {
      metrics.datastreamHotKeys.inc({ stream: e.stream, shard: e.shardId })
      log.warn(e, 'one key makes a shard hot')
    },
    recordsNotStored(e: { stream: string; shardId: string; count: number; error: unknown }) {
      metrics.datastreamRecordsNotStored.inc({ stream: e.stream }, e.count)
      log.error({ ...e, error: undefined, err: e.error }, 'records not stored')
    },
    hookDelivered(e: { hook: string; deliveryId: string; attempts: number }) {
      metrics.notifyDelivered.inc({ hook: e.hook })
      log.info(e, 'hook delivered')
    },
    hookFailed(e: {
      hook: string
      deliveryId: string
      attempts: number
      reason: string
      retryInMs: number | null
    }) {
      metrics.notifyFailed.inc({ hook: e.hook, reason: e.reason })
      log.warn(e, 'hook delivery failed')
    },
    /** Given up and kept; it can be queued again. */
    hookDeadLettered(e: { hook: string; deliveryId: string; attempts: number; reason: string }) {
      metrics.notifyDeadLettered.inc({ hook: e.hook, reason: e.reason })
      log.error(e, 'hook delivery given up')
    },
    hookDisabled(e: { hook: string; reason: string }) {
      log.error(e, 'hook disabled')
    },
    imageDelivered(e: { stream: string; name: string; sizeBytes: number }) {
      metrics.deliverImages.inc({ stream: e.stream })
      log.debug(e, 'image delivered')
    },
    /** Nothing was shown when it was due. */
    imageSkipped(e: { stream: string; fragmentNumber: string; atMs: number }) {
      metrics.deliverImagesSkipped.inc({ stream: e.stream })
      log.debug(e, 'no picture for an image')
    },
    notificationDelivered(e: { stream: string; messageId: string }) {
      metrics.deliverNotifications.inc({ stream: e.stream })
      log.debug(e, 'notification delivered')
    },
    /** An attempt; another follows. */
    deliveryFailed(e: { stream: string; kind: string; reason: string }) {
      metrics.deliverFailures.inc(e)
      log.warn(e, 'delivery failed')
    },
    recordsIgnored(e: { count: number; reason: string }) {
      metrics.notifyIgnored.inc({ reason: e.reason }, e.count)
      log.debug(e, 'records ignored')
    },
  }
}
