import { useState } from 'react'
import { toHue } from './boxes.ts'
import { formatAge, formatScore, formatTime } from './format.ts'
import type { Sighting } from './sightings.ts'

/** What was seen lately, with pictures; choosing one plays the moment. */
export function SightingList(props: {
  readonly sightings: readonly Sighting[]
  readonly selectedKey: string | null
  readonly nowMs: number
  readonly onSelect: (sighting: Sighting) => void
}) {
  return (
    <ul className="sightings">
      {props.sightings.map((sighting) => (
        <li key={sighting.key}>
          <button
            type="button"
            className="sighting"
            aria-pressed={sighting.key === props.selectedKey}
            onClick={() => props.onSelect(sighting)}
          >
            <Snapshot streamName={sighting.streamName} atMs={sighting.bestMs} />
            <span className="sighting-text">
              <span className="sighting-label">
                <span
                  className="swatch"
                  style={{ background: `hsl(${toHue(sighting.label)} 90% 62%)` }}
                />
                {sighting.label}
                <span className="score">{formatScore(sighting.bestScore)}</span>
              </span>
              <span className="muted">{formatTime(sighting.bestMs, props.nowMs)}</span>
              <span className="muted">
                {formatAge(sighting.toMs, props.nowMs)}
                {describeDuration(sighting)}
              </span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  )
}

/** A picture of the moment; a plain tile when there is none (any more). */
function Snapshot({ streamName, atMs }: { readonly streamName: string; readonly atMs: number }) {
  const url = `/streams/${encodeURIComponent(streamName)}/image.jpg?at=${atMs}&width=240`
  const [failedUrl, setFailedUrl] = useState<string | null>(null)
  if (failedUrl === url) return <span className="snapshot missing">no picture</span>
  return (
    <img
      className="snapshot"
      src={url}
      alt=""
      loading="lazy"
      decoding="async"
      onError={() => setFailedUrl(url)}
    />
  )
}

function describeDuration({ fromMs, toMs }: Sighting): string {
  const seconds = Math.round((toMs - fromMs) / 1_000)
  return seconds < 1 ? '' : ` · for ${seconds} s`
}
