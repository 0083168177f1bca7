import { useState, type FormEvent } from 'react'
import { ApiError, createStream } from './api.ts'
import type { CreatedStream } from './api-types.ts'

/** Makes a stream. */
export function AddStream(props: { readonly onCreated: (created: CreatedStream) => void }) {
  const [name, setName] = useState('')
  const [error, setError] = useState<string | null>(null)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setError(null)
    try {
      const answer = await createStream(name.trim())
      setName('')
      props.onCreated(answer)
    } catch (problem) {
      setError(problem instanceof ApiError ? problem.message : String(problem))
    }
  }

  return (
    <div className="add-stream">
      <form onSubmit={(event) => void submit(event)}>
        <label htmlFor="stream-name">Name of the new stream</label>
        <div className="field">
          <input
            id="stream-name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            placeholder="front-door"
            pattern="[a-zA-Z0-9_.\-]{1,256}"
            title="Letters, digits, dot, dash and underscore"
            autoComplete="off"
            required
          />
          <button type="submit" className="primary">
            Add
          </button>
        </div>
      </form>
      {error !== null && (
        <p className="problem" role="alert">
          {error}
        </p>
      )}
    </div>
  )
}

/** The new stream's command with its key, which nobody can look up later; stays until closed. */
export function CreatedStreamNotice(props: {
  readonly created: CreatedStream
  readonly rtmpUrl: string | null
  readonly onClose: () => void
}) {
  const { stream, publishKey, publishUrl } = props.created
  return (
    <section className="created card" role="status" aria-label="New stream">
      <p>
        <strong>{stream.name}</strong> is ready. Send video to it; the key is shown this once:
      </p>
      <Command text={toFfmpegLine(publishUrl, props.rtmpUrl, stream.name)} />
      {publishUrl === null && <Command text={publishKey} />}
      <button type="button" onClick={props.onClose}>
        I have kept the key
      </button>
    </section>
  )
}

/** The FFmpeg command that publishes to a stream. */
export function toFfmpegLine(
  publishUrl: string | null,
  rtmpUrl: string | null,
  streamName = '<stream>',
): string {
  const url =
    publishUrl ?? `${rtmpUrl ?? 'rtmp://<host>:1935/live'}/${streamName}?key=<publish key>`
  return `ffmpeg -re -i video.mp4 -c copy -f flv "${url}"`
}

export function Command({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setCopied(true)
    } catch {
      setCopied(false) // not allowed on plain http from another machine: select it by hand
    }
  }
  return (
    <div className="command">
      <pre tabIndex={0}>{text}</pre>
      {'clipboard' in navigator && (
        <button type="button" onClick={() => void copy()}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  )
}
