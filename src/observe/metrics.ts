import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/**
 * Every metric of the service, by the pattern `kinora_<stage>_<what>_<unit>[_total]`. Labels are few
 * and bounded: stream, shard, stage, reason. Never an id, an address or a path.
 */
export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics(options: { readonly processMetrics?: boolean } = {}) {
  const registry = new Registry()
  // It wakes the process up that often to see how late the loop is; `eventLoopDelayMs` looks closer.
  if (options.processMetrics ?? false) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  }
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] })
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ) => new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [registry] })

  return {
    registry,
    ingestSessions: gauge('kinora_ingest_sessions', 'Open publishing sessions', ['protocol']),
    ingestSessionsEnded: counter('kinora_ingest_sessions_ended_total', 'Ended sessions', [
      'protocol',
      'reason',
    ]),
    ingestBytes: counter('kinora_ingest_media_bytes_total', 'Media bytes received', ['stream']),
    ingestSamples: counter('kinora_ingest_samples_total', 'Samples received', ['stream', 'kind']),
    ingestSamplesDropped: counter('kinora_ingest_samples_dropped_total', 'Samples not stored', [
      'stream',
      'reason',
    ]),
    sourcePublishing: gauge(
      'kinora_source_publishing',
      "1 while a pulled source's media comes, 0 while it does not",
      ['stream'],
    ),
    sourceReconnects: counter(
      'kinora_source_reconnects_total',
      'Attempts at a pulled source that ended, each followed by another',
      ['stream', 'reason'],
    ),
    ingestLosses: counter('kinora_ingest_losses_total', 'Places where media was lost on the way', [
      'stream',
    ]),
    ingestBitrate: gauge(
      'kinora_ingest_bitrate_bits_per_second',
      'Of sessions that are on, over the last five seconds',
      ['stream'],
    ),
    ingestFrameRate: gauge(
      'kinora_ingest_frames_per_second',
      'Of video of sessions that are on, over the last five seconds',
      ['stream'],
    ),
    ingestGop: gauge('kinora_ingest_gop_seconds', 'Between the last two key frames', ['stream']),
    ingestGopMax: gauge('kinora_ingest_gop_max_seconds', 'Longest GOP of the session', ['stream']),
    ingestDrift: gauge(
      'kinora_ingest_clock_drift_ppm',
      'How fast the clock of the producer gains on ours',
      ['stream'],
    ),
    ingestJitter: gauge('kinora_ingest_jitter_seconds', 'Of RTP, the largest of the tracks', [
      'stream',
    ]),
    ingestPackets: gauge('kinora_ingest_packets_received', 'RTP packets of the session', [
      'stream',
    ]),
    ingestPacketsLost: gauge('kinora_ingest_packets_lost', 'RTP packets lost in the session', [
      'stream',
    ]),
    ingestReconnects: gauge(
      'kinora_ingest_reconnects',
      'How often the publisher of a session that is on had to begin again',
      ['stream'],
    ),
    archiveFragments: counter('kinora_archive_fragments_total', 'Fragments persisted', ['stream']),
    archiveBytes: counter('kinora_archive_written_bytes_total', 'Chunk bytes written', ['stream']),
    archiveWrites: counter('kinora_archive_writes_total', 'Write calls to chunks and indexes', []),
    archiveFragmentsLost: counter('kinora_archive_fragments_lost_total', 'Fragments given up', [
      'stream',
      'reason',
    ]),
    archiveChunksRemoved: counter('kinora_archive_chunks_removed_total', 'Chunks unlinked', [
      'stream',
      'reason',
    ]),
    archiveEvictedBytes: counter(
      'kinora_archive_evicted_bytes_total',
      'Bytes that went before their retention was over, for lack of space',
      ['stream', 'reason'],
    ),
    archiveDeletedFragments: counter(
      'kinora_archive_deleted_fragments_total',
      'Fragments deleted on request',
      ['stream'],
    ),
    archivePersistSeconds: histogram(
      'kinora_archive_persist_seconds',
      'End of fragment to PERSISTED',
      [],
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    ),
    archiveCheckBytes: counter(
      'kinora_archive_check_bytes_total',
      'Media bytes read again to find damage',
      [],
    ),
    archiveCheckFindings: counter(
      'kinora_archive_check_findings_total',
      'Damage found in finished chunks',
      ['stream', 'reason'],
    ),
    archiveOrphanFiles: gauge(
      'kinora_archive_orphan_files',
      'Files in the archive that no row named at the start',
      [],
    ),
    archiveStoredBytes: gauge('kinora_archive_stored_bytes', 'Bytes kept', ['stream']),
    archiveWriteRate: gauge(
      'kinora_archive_write_rate_bytes_per_second',
      'Media written, over the last ten minutes',
      ['stream'],
    ),
    archiveRetentionReached: gauge(
      'kinora_archive_retention_reached_seconds',
      'Until a stream keeps all of its retention; +Inf: not as things go',
      ['stream'],
    ),
    archiveDiskFree: gauge('kinora_archive_disk_free_bytes', 'Free disk space', []),
    archiveDiskMinFree: gauge('kinora_archive_disk_min_free_bytes', 'Disk space kept free', []),
    archiveDiskFull: gauge(
      'kinora_archive_disk_full_seconds',
      'Until only the minimum is free; +Inf: never, as things go',
      [],
    ),
    playbackBytes: counter('kinora_playback_sent_bytes_total', 'Media bytes sent', [
      'stream',
      'format',
    ]),
    playbackFragments: counter('kinora_playback_sent_fragments_total', 'Fragments sent', [
      'stream',
      'format',
    ]),
    playbackFrames: counter('kinora_playback_sent_frames_total', 'Samples sent', [
      'stream',
      'format',
    ]),
    putMediaErrors: counter(
      'kinora_put_media_errors_total',
      'ERROR acknowledgements of PutMedia (ErrorAckCount)',
      ['stream', 'code'],
    ),
    putMediaAckSeconds: histogram(
      'kinora_put_media_ack_seconds',
      "BUFFERING, since the fragment's first byte (BufferingAckLatency); PERSISTED, since its last " +
        '(PersistedAckLatency)',
      ['phase'],
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    ),
    getMediaReaders: gauge('kinora_get_media_readers', 'Answers of GetMedia that are open', [
      'stream',
    ]),
    getMediaEnded: counter(
      'kinora_get_media_ended_total',
      'Answers of GetMedia that ended (Requests, Success, ConnectionErrors)',
      ['stream', 'reason'],
    ),
    getMediaBehind: histogram(
      'kinora_get_media_behind_seconds',
      "Since a fragment's last byte arrived, when its last byte was sent (MillisBehindNow)",
      [],
      [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 600, 3600],
    ),
    playbackFragmentsLeftOut: counter(
      'kinora_playback_fragments_left_out_total',
      'Fragments that a clip was sent without, because they could not be read',
      ['stream', 'reason'],
    ),
    playbackTranscodedSeconds: counter(
      'kinora_playback_transcoded_sound_seconds_total',
      'Sound that was made AAC for players',
      [],
    ),
    playbackTranscodeFailures: counter(
      'kinora_playback_transcode_failures_total',
      'Fragments whose sound was not made AAC',
      ['reason'],
    ),
    playbackFragmentsConsumed: counter(
      'kinora_playback_archived_fragments_consumed_total',
      'Archived fragments looked up (metadata) and read (media) for answers (ArchivedFragmentsConsumed)',
      ['stream', 'bucket'],
    ),
    playbackCalls: counter(
      'kinora_playback_calls_total',
      'Calls for archived media (Requests, Success)',
      ['operation', 'stream', 'outcome'],
    ),
    playbackCallSeconds: histogram(
      'kinora_playback_call_seconds',
      'Calls for archived media, until the answer begins (Latency)',
      ['operation'],
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    ),
    detectFrames: counter('kinora_detect_frames_total', 'Frames decoded and inferred', ['stream']),
    detectFramesSkipped: counter('kinora_detect_frames_skipped_total', 'Frames not inferred', [
      'stream',
      'reason',
    ]),
    detectDetections: counter('kinora_detect_detections_total', 'Boxes found', ['stream', 'label']),
    detectSeconds: histogram(
      'kinora_detect_fragment_seconds',
      'Decode and inference of one fragment',
      [],
      [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    ),
    detectLagMs: gauge('kinora_detect_lag_milliseconds', 'Fragment end to result', ['stream']),
    datastreamRecordsIn: counter('kinora_datastream_records_in_total', 'Records put', ['stream']),
    datastreamBytesIn: counter('kinora_datastream_bytes_in_total', 'Bytes put', ['stream']),
    datastreamRecordsOut: counter('kinora_datastream_records_out_total', 'Records read', [
      'stream',
    ]),
    datastreamBytesOut: counter('kinora_datastream_bytes_out_total', 'Bytes read', ['stream']),
    datastreamWriteThrottled: counter(
      'kinora_datastream_write_throttled_records_total',
      'Records over the write limits of their shard (WriteProvisionedThroughputExceeded)',
      ['stream'],
    ),
    datastreamReadThrottled: counter(
      'kinora_datastream_read_throttled_calls_total',
      'GetRecords calls over the read limits of their shard (ReadProvisionedThroughputExceeded)',
      ['stream'],
    ),
    datastreamStoredBytes: gauge(
      'kinora_datastream_stored_bytes',
      'Bytes of the stream on the disk, measured once a minute',
      ['stream'],
    ),
    datastreamIteratorAgeMs: gauge(
      'kinora_datastream_iterator_age_milliseconds',
      'Age of the last record that GetRecords returned; 0: caught up (GetRecords.IteratorAgeMilliseconds)',
      ['stream'],
    ),
    datastreamPutSeconds: histogram(
      'kinora_datastream_put_seconds',
      'Put of one or more records to the answer of the disk',
      ['stream'],
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    ),
    datastreamIteratorsThrottled: counter(
      'kinora_datastream_iterators_throttled_calls_total',
      'GetShardIterator calls over the limit of their shard',
      ['stream'],
    ),
    kinesisCalls: counter(
      'kinora_kinesis_calls_total',
      'Data operations of the Kinesis API, by how they ended: success, throttled, failed, refused (PutRecords.Success, SubscribeToShard.RateExceeded)',
      ['stream', 'operation', 'outcome'],
    ),
    kinesisCallSeconds: histogram(
      'kinora_kinesis_call_seconds',
      'Data operations that did not fail (PutRecord.Latency, PutRecords.Latency, GetRecords.Latency)',
      ['stream', 'operation'],
      [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    ),
    kinesisCallRecords: counter(
      'kinora_kinesis_records_total',
      'Records of data operations, by how each of them ended (PutRecords.SuccessfulRecords, PutRecords.ThrottledRecords, PutRecords.FailedRecords, GetRecords.Records, SubscribeToShardEvent.Records)',
      ['stream', 'operation', 'outcome'],
    ),
    kinesisCallBytes: counter(
      'kinora_kinesis_bytes_total',
      'Data and keys of data operations (PutRecord.Bytes, PutRecords.Bytes, GetRecords.Bytes, SubscribeToShardEvent.Bytes)',
      ['stream', 'operation'],
    ),
    kinesisSubscriberLagMs: gauge(
      'kinora_kinesis_subscriber_lag_milliseconds',
      'Of subscriptions that are on, behind the newest record of the shard (SubscribeToShardEvent.MillisBehindLatest)',
      ['stream', 'consumer', 'shard'],
    ),
    datastreamHotKeys: counter(
      'kinora_datastream_hot_keys_total',
      'Minutes in which one key made up most of what a busy shard took',
      ['stream', 'shard'],
    ),
    datastreamShardRecordsIn: counter(
      'kinora_datastream_shard_records_in_total',
      'Records put, where enhanced monitoring is on (IncomingRecords)',
      ['stream', 'shard'],
    ),
    datastreamShardBytesIn: counter(
      'kinora_datastream_shard_bytes_in_total',
      'Bytes put, where enhanced monitoring is on (IncomingBytes)',
      ['stream', 'shard'],
    ),
    datastreamShardRecordsOut: counter(
      'kinora_datastream_shard_records_out_total',
      'Records read, where enhanced monitoring is on (OutgoingRecords)',
      ['stream', 'shard'],
    ),
    datastreamShardBytesOut: counter(
      'kinora_datastream_shard_bytes_out_total',
      'Bytes read, where enhanced monitoring is on (OutgoingBytes)',
      ['stream', 'shard'],
    ),
    datastreamShardWriteThrottled: counter(
      'kinora_datastream_shard_write_throttled_records_total',
      'Records over the limits, where enhanced monitoring is on',
      ['stream', 'shard'],
    ),
    datastreamShardReadThrottled: counter(
      'kinora_datastream_shard_read_throttled_calls_total',
      'Calls over the limits, where enhanced monitoring is on',
      ['stream', 'shard'],
    ),
    datastreamShardIteratorAgeMs: gauge(
      'kinora_datastream_shard_iterator_age_milliseconds',
      'Age of the last record returned, where enhanced monitoring is on (IteratorAgeMilliseconds)',
      ['stream', 'shard'],
    ),
    datastreamRecordsNotStored: counter(
      'kinora_datastream_records_not_stored_total',
      'Records refused because the disk failed or was too slow',
      ['stream'],
    ),
    datastreamRecordsDamaged: counter(
      'kinora_datastream_records_damaged_total',
      'Acknowledged records found damaged on the disk when a log was opened',
      ['stream'],
    ),
    datastreamLogRecoveries: counter(
      'kinora_datastream_log_recoveries_total',
      'Shard logs whose torn tail was cut off at start',
      ['stream'],
    ),
    datastreamSyncSeconds: histogram(
      'kinora_datastream_sync_seconds',
      'Group commit duration',
      [],
      [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5],
    ),
    consumeHandled: counter('kinora_consume_handled_total', 'Fragments or records handled', [
      'application',
      'stream',
    ]),
    consumeSkipped: counter('kinora_consume_skipped_total', 'Fragments or records passed over', [
      'application',
      'stream',
      'reason',
    ]),
    consumeFailures: counter('kinora_consume_failures_total', 'Handler calls that failed', [
      'application',
      'stream',
    ]),
    consumeLagMs: gauge('kinora_consume_lag_milliseconds', 'Arrival to handled', [
      'application',
      'stream',
    ]),
    deliverImages: counter('kinora_deliver_images_total', 'Images delivered', ['stream']),
    deliverImagesSkipped: counter(
      'kinora_deliver_images_skipped_total',
      'Images that were due where no picture is',
      ['stream'],
    ),
    deliverNotifications: counter(
      'kinora_deliver_notifications_total',
      'Notifications of fragments delivered',
      ['stream'],
    ),
    deliverFailures: counter(
      'kinora_deliver_failures_total',
      'Attempts at an image or a notification that failed',
      ['stream', 'kind', 'reason'],
    ),
    deliverUntagged: counter(
      'kinora_deliver_untagged_fragments_total',
      'Fragments without the tag that asks for an image or a notification',
      ['stream', 'kind'],
    ),
    notifyDelivered: counter('kinora_notify_delivered_total', 'Deliveries accepted', ['hook']),
    notifyFailed: counter('kinora_notify_failed_total', 'Delivery attempts that failed', [
      'hook',
      'reason',
    ]),
    notifyWaiting: gauge('kinora_notify_waiting_deliveries', 'Deliveries not yet accepted', [
      'hook',
    ]),
    notifyDeadLettered: counter(
      'kinora_notify_dead_lettered_total',
      'Deliveries given up and kept',
      ['hook', 'reason'],
    ),
    notifyIgnored: counter('kinora_notify_ignored_records_total', 'Records that are no detection', [
      'reason',
    ]),
    notifyOldestWaitingMs: gauge(
      'kinora_notify_oldest_waiting_milliseconds',
      'Age of the oldest delivery not yet accepted',
      ['hook'],
    ),
    httpThrottled: counter(
      'kinora_http_throttled_requests_total',
      'Requests refused for coming too often',
      ['edge', 'operation'],
    ),
    auditDropped: counter('kinora_audit_dropped_lines_total', 'Audit lines that were not written', [
      'reason',
    ]),
    httpRequests: counter('kinora_http_requests_total', 'Requests answered', ['edge', 'status']),
    eventLoopDelayMs: gauge(
      'kinora_process_loop_delay_p99_milliseconds',
      'Main event loop delay since the last scrape, p99',
      [],
    ),
  }
}
