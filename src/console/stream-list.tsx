import type { StreamStatus } from './api-types.ts'
import { describeSession, formatAge, formatBytes, formatRetention } from './format.ts'

/** The streams with their state; choosing one shows it. */
export function StreamList(props: {
  readonly streams: readonly StreamStatus[]
  readonly selected: string | null
  readonly nowMs: number
}) {
  return (
    <ul className="streams">
      {props.streams.map((stream) => (
        <li key={stream.name}>
          <a
            className="stream"
            href={toStreamHash(stream.name)}
            aria-current={stream.name === props.selected ? 'true' : undefined}
          >
            <span className="stream-head">
              <span className="stream-name">{stream.name}</span>
              <span className={`badge ${stream.state}`}>{stream.state}</span>
            </span>
            <span className="stream-facts">
              {stream.session === null
                ? describeLastMedia(stream, props.nowMs)
                : describeSession(stream.session).join(' · ')}
            </span>
            <span className="stream-facts">
              {formatBytes(stream.archive.bytes)} kept · {formatRetention(stream.retentionHours)}{' '}
              retention
            </span>
          </a>
        </li>
      ))}
    </ul>
  )
}

export function toStreamHash(name: string): string {
  return `#/streams/${encodeURIComponent(name)}`
}

function describeLastMedia({ archive }: StreamStatus, nowMs: number): string {
  return archive.newest === null ? 'No media yet' : `Last media ${formatAge(archive.newest, nowMs)}`
}
