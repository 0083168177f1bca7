import { useMemo, useState } from 'react'
import type { ServiceStatus, StreamStatus } from './api-types.ts'
import { describeSession, formatAge, formatBytes, formatRetention, formatTime } from './format.ts'
import { Player } from './player.tsx'
import { Command, toFfmpegLine } from './publish-hint.tsx'
import { SourceNotice } from './source-notice.tsx'
import { toSessionFacts } from './session-facts.ts'
import { SightingList } from './sighting-list.tsx'
import { toSightings, type Sighting } from './sightings.ts'
import { useArchivedDetections, useLiveDetections } from './use-detections.ts'

type Moment = { readonly key: string; readonly title: string; fromMs: number; toMs: number }

const BEFORE_MS = 4_000
const AFTER_MS = 8_000
const LAST_MEDIA_MS = 60_000
const SHOWN_SIGHTINGS = 60

/** One stream: its video, live or at a moment, and what was seen on it. */
export function StreamView(props: {
  readonly stream: StreamStatus
  readonly service: ServiceStatus | null
  readonly nowMs: number
}) {
  const { stream, service, nowMs } = props
  const [moment, setMoment] = useState<Moment | null>(null)
  const live = useLiveDetections(stream.name)
  const archived = useArchivedDetections(stream.name, moment)
  const sightings = useMemo(
    () => toSightings(live.records).slice(0, SHOWN_SIGHTINGS),
    [live.records],
  )
  const base = `/streams/${encodeURIComponent(stream.name)}/hls/master.m3u8`
  const url = moment === null ? base : `${base}?from=${moment.fromMs}&to=${moment.toMs}`
  const hasMedia = stream.state === 'live' || stream.archive.newest !== null

  return (
    <>
      <section className="stage" aria-label={`Stream ${stream.name}`}>
        <div className="stage-head">
          <h2>{stream.name}</h2>
          {moment === null ? (
            <span className={`badge ${stream.state}`}>{stream.state}</span>
          ) : (
            <>
              <span className="badge archive">archive</span>
              <span className="muted">{moment.title}</span>
              <button type="button" className="primary" onClick={() => setMoment(null)}>
                Back to live
              </button>
            </>
          )}
        </div>
        {hasMedia ? (
          <Player
            key={url}
            url={url}
            isLive={moment === null}
            label={`Video of ${stream.name}`}
            records={moment === null ? live.records : archived}
            isIdle={moment === null && stream.state === 'idle'}
          />
        ) : stream.source !== null ? (
          <div className="empty">
            <h3>No media has come from the camera yet</h3>
          </div>
        ) : (
          <div className="empty">
            <h3>Nothing has been sent to this stream yet</h3>
            <p>Send a file or a camera to it, for example with FFmpeg:</p>
            <Command text={toFfmpegLine(null, service?.rtmpUrl ?? null, stream.name)} />
            <p className="muted">
              The key was shown when the stream was made. A new one:{' '}
              <code>kinora streams set {stream.name} --publish-key …</code>
            </p>
          </div>
        )}
        {moment === null && stream.state === 'idle' && stream.archive.newest !== null && (
          <p className="notice">
            The camera is not connected. Its last media is from{' '}
            {formatAge(stream.archive.newest, nowMs)}.{' '}
            <button type="button" onClick={() => setMoment(toLastMedia(stream.archive.newest!))}>
              Play the last minute
            </button>
          </p>
        )}
        {stream.source !== null && <SourceNotice source={stream.source} nowMs={nowMs} />}
        <Facts stream={stream} nowMs={nowMs} />
      </section>

      <section className="side" aria-label="Detections">
        <div className="side-head">
          <h2>Detections</h2>
          {service?.model && <span className="muted">{service.model.name}</span>}
        </div>
        {live.error !== null && (
          <p className="problem" role="alert">
            {live.error.message}
          </p>
        )}
        {sightings.length === 0 && live.isLoaded && (
          <div className="empty small">
            <h3>Nothing seen yet</h3>
            <p>{describeNoSightings(service, stream)}</p>
          </div>
        )}
        <SightingList
          sightings={sightings}
          selectedKey={moment?.key ?? null}
          nowMs={nowMs}
          onSelect={(sighting) => setMoment(toMoment(sighting, nowMs))}
        />
      </section>
    </>
  )
}

function Facts({ stream, nowMs }: { readonly stream: StreamStatus; readonly nowMs: number }) {
  const { archive, session } = stream
  const facts: (readonly [name: string, value: string | null])[] = [
    ['Media', session === null ? null : describeSession(session).join(' · ')],
    ['From', session === null ? null : `${session.protocol} ${session.peer}`],
    ['Connected', session === null ? null : formatAge(Date.parse(session.startedAt), nowMs)],
    ...(session === null ? [] : toSessionFacts(session)),
    ['Kept', `${formatBytes(archive.bytes)} in ${countChunks(archive.chunks)}`],
    ['Since', archive.oldest === null ? null : formatTime(archive.oldest, nowMs)],
    ['Last fragment', archive.newest === null ? null : formatAge(archive.newest, nowMs)],
    ['Retention', formatRetention(stream.retentionHours)],
  ]
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <div key={name} className={name === 'Media' ? 'wide' : undefined}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

function countChunks(count: number): string {
  return count === 1 ? '1 chunk' : `${count} chunks`
}

function toMoment({ key, label, bestMs, fromMs, toMs }: Sighting, nowMs: number): Moment {
  const start = Math.max(fromMs, bestMs - 20_000) - BEFORE_MS
  const end = Math.min(toMs, bestMs + 20_000) + AFTER_MS
  return { key, title: `${label} at ${formatTime(bestMs, nowMs)}`, fromMs: start, toMs: end }
}

function toLastMedia(newestMs: number): Moment {
  return {
    key: `last/${newestMs}`,
    title: 'the last minute',
    fromMs: newestMs - LAST_MEDIA_MS,
    toMs: newestMs + 20_000, // `newest` is where the last fragment begins
  }
}

function describeNoSightings(service: ServiceStatus | null, stream: StreamStatus): string {
  if (service !== null && service.model === null) {
    return 'Detection is switched off (detection.enabled in the configuration).'
  }
  if (stream.state === 'idle') return 'Detections appear here while the camera is connected.'
  const labels = service?.model?.labels ?? []
  const what = labels.length === 1 ? labels[0] : `${labels.length || 'some'} kinds of things`
  return `Watching for ${what}. The first one appears here a few seconds after it is seen.`
}
