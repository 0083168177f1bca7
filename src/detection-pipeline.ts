import type { Archive } from './archive/index.ts'
import { startVideoConsumer, type Consumer, type LeaseStore } from './consume/index.ts'
import type { DataStreams } from './datastream/index.ts'
import type { Detector } from './detect/index.ts'
import type { Fragment } from './domain/fragment.ts'
import type { StreamId } from './domain/stream.ts'
import type { Events } from './observe/events.ts'
import type { Log } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import type { Clock } from './platform/clock.ts'
import { publishDetections, toDetectionRecords, type ModelIdentity } from './publish/index.ts'

export type DetectionPipelineOptions = {
  readonly archive: Archive
  readonly leases: LeaseStore
  readonly dataStreams: DataStreams
  readonly detector: Detector
  readonly model: ModelIdentity
  readonly resultsStream: string
  readonly streams: () => readonly { readonly streamId: StreamId; readonly name: string }[]
  /** `null`: never skip. */
  readonly maxLagMs: number | null
  readonly clock: Clock
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Log
}

/**
 * Archive -> detect -> publish: a consumer whose handler finds things on a fragment's frames and
 * puts the results on a data stream before the checkpoint moves, so a result may come twice after a
 * crash (with the same record id) and is never missing.
 */
export function startDetectionPipeline(options: DetectionPipelineOptions): Consumer {
  const { archive, detector, metrics, clock } = options
  const nameOf = (streamId: StreamId) =>
    options.streams().find((stream) => stream.streamId === streamId)?.name ?? null

  const handle = async (fragment: Fragment, signal: AbortSignal): Promise<void> => {
    const stream = nameOf(fragment.streamId)
    if (stream === null) return // deleted meanwhile
    const { header, tracks, bytes } = await archive.read(fragment)
    if (!tracks.some(({ kind }) => kind === 'video')) return
    const startedAt = clock.now()
    const result = await detector.detect(
      {
        streamId: fragment.streamId,
        fragmentNumber: fragment.fragmentNumber,
        header,
        bytes,
        tracks,
        producerTimestamp: fragment.producerTimestamp,
        discontinuity: fragment.discontinuity,
      },
      signal,
    )
    metrics.detectSeconds.observe((clock.now() - startedAt) / 1000)
    metrics.detectFrames.inc({ stream }, result.framesInferred)
    for (const { detections } of result.frames) {
      for (const { label } of detections) metrics.detectDetections.inc({ stream, label })
    }
    await publishDetections({
      dataStreams: options.dataStreams,
      resultsStream: options.resultsStream,
      records: toDetectionRecords({
        streamName: stream,
        fragment,
        model: options.model,
        frames: result.frames,
      }),
    })
    const endedAt = fragment.serverTimestamp + fragment.arrivalSpanMs
    metrics.detectLagMs.set({ stream }, clock.now() - endedAt)
  }

  return startVideoConsumer({
    application: 'detection',
    archive,
    leases: options.leases,
    streams: options.streams,
    start: 'newest',
    policy: { maxLagMs: options.maxLagMs },
    handle,
    clock,
    events: options.events,
    metrics,
    log: options.log,
  })
}
