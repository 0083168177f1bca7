import { useEffect, useState } from 'react'
import { getService, getStreams } from './api.ts'
import type { CreatedStream, HookStatus, ServiceStatus } from './api-types.ts'
import { AddStream, Command, CreatedStreamNotice, toFfmpegLine } from './publish-hint.tsx'
import { SignIn } from './sign-in.tsx'
import { StreamList, toStreamHash } from './stream-list.tsx'
import { StreamView } from './stream-view.tsx'
import { usePolling } from './use-polling.ts'

/** The whole page: streams on the left, the chosen one in the middle, its detections on the right. */
export function App() {
  const [session, setSession] = useState(0)
  const streams = usePolling(`streams/${session}`, 2_000, getStreams)
  const service = usePolling(`service/${session}`, 10_000, getService)
  const wanted = useHashStream()
  const nowMs = useNow()
  const [isAdding, setIsAdding] = useState(false)
  const [created, setCreated] = useState<CreatedStream | null>(null)
  const onCreated = (answer: CreatedStream) => {
    setCreated(answer)
    setIsAdding(false)
    window.location.hash = toStreamHash(answer.stream.name)
    streams.refresh()
  }

  if (streams.error?.status === 401) {
    return <SignIn onSignedIn={() => setSession((before) => before + 1)} />
  }
  const list = streams.data ?? []
  const selected =
    list.find(({ name }) => name === wanted) ??
    (wanted === null ? (list.find(({ state }) => state === 'live') ?? list[0]) : undefined)
  const isEmpty = streams.data !== null && list.length === 0

  return (
    <div className="page">
      <Header service={service.data} />
      {streams.error !== null && (
        <p className="problem banner" role="alert">
          {streams.error.message} Trying again.
        </p>
      )}
      {created !== null && (
        <CreatedStreamNotice
          created={created}
          rtmpUrl={service.data?.rtmpUrl ?? null}
          onClose={() => setCreated(null)}
        />
      )}
      {isEmpty ? (
        <Welcome service={service.data} onCreated={onCreated} />
      ) : (
        <main className="columns">
          <nav className="rail" aria-label="Streams">
            <div className="side-head">
              <h2>Streams</h2>
              <button type="button" aria-expanded={isAdding} onClick={() => setIsAdding(!isAdding)}>
                {isAdding ? 'Close' : 'Add'}
              </button>
            </div>
            {isAdding && <AddStream onCreated={onCreated} />}
            {streams.data === null && streams.error === null && <p className="muted">Loading …</p>}
            <StreamList streams={list} selected={selected?.name ?? null} nowMs={nowMs} />
          </nav>
          {selected !== undefined && (
            <StreamView
              key={selected.name}
              stream={selected}
              service={service.data}
              nowMs={nowMs}
            />
          )}
          {selected === undefined && wanted !== null && streams.data !== null && (
            <div className="stage empty">
              <h3>There is no stream named {wanted}</h3>
              {list[0] !== undefined && <a href={toStreamHash(list[0].name)}>See {list[0].name}</a>}
            </div>
          )}
        </main>
      )}
    </div>
  )
}

function Header({ service }: { readonly service: ServiceStatus | null }) {
  return (
    <header className="top">
      <a className="brand" href="#/">
        <img src="/favicon.svg" alt="" width="26" height="26" />
        <h1>Kinora</h1>
      </a>
      {service !== null && (
        <div className="top-facts">
          {service.model !== null && (
            <span className="chip" title={service.model.labels.join(', ')}>
              model {service.model.name}
            </span>
          )}
          {service.hooks.map((hook) => (
            <Hook key={hook.name} hook={hook} />
          ))}
          <span className="muted version">v{service.version}</span>
        </div>
      )}
    </header>
  )
}

function Hook({ hook }: { readonly hook: HookStatus }) {
  const isBad = hook.disabled || hook.failed > 0
  const state = hook.disabled
    ? 'disabled by its receiver'
    : [
        `${hook.delivered} sent`,
        hook.waiting > 0 ? `${hook.waiting} waiting` : '',
        hook.failed > 0 ? `${hook.failed} failed` : '',
      ]
        .filter((part) => part !== '')
        .join(', ')
  return (
    <span className={isBad ? 'chip bad' : 'chip'}>
      hook {hook.name}: {state}
    </span>
  )
}

function Welcome(props: {
  readonly service: ServiceStatus | null
  readonly onCreated: (created: CreatedStream) => void
}) {
  const rtmpUrl = props.service?.rtmpUrl ?? null
  return (
    <main className="welcome">
      <div className="card">
        <h2>Send your first video</h2>
        <ol>
          <li>
            Add a stream. You get a key that only its camera knows.
            <AddStream onCreated={props.onCreated} />
          </li>
          <li>
            Send a file or a camera to it, with any RTMP encoder or with FFmpeg:
            <Command text={toFfmpegLine(null, rtmpUrl)} />
          </li>
          <li>It appears here live, is kept, and what moves in it is found.</li>
        </ol>
      </div>
    </main>
  )
}

/** The stream named in the address, so that a link or a reload shows it again. */
function useHashStream(): string | null {
  const [hash, setHash] = useState(window.location.hash)
  useEffect(() => {
    const onChange = () => setHash(window.location.hash)
    window.addEventListener('hashchange', onChange)
    return () => window.removeEventListener('hashchange', onChange)
  }, [])
  const encoded = /^#\/streams\/(.+)$/.exec(hash)?.[1]
  if (encoded === undefined) return null
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

function useNow(): number {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    const timer = window.setInterval(() => setNowMs(Date.now()), 1_000)
    return () => window.clearInterval(timer)
  }, [])
  return nowMs
}
