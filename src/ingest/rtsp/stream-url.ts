/** What the URL of a publisher says: rtsp://host/live/<stream>?key=<publish key>, or without `live`. */
export type PublishUrl = {
  readonly stream: string
  readonly key: string | null
}

const APP = 'live'

/** @returns `null` when it names no stream; an absolute URL or its path */
export function parsePublishUrl(uri: string): PublishUrl | null {
  const segments = segmentsOf(uri)
  const names = segments.length > 1 && segments[0] === APP ? segments.slice(1) : segments
  if (names.length !== 1) return null
  return { stream: names[0]!, key: publishKeyOf(uri) }
}

/** `?key=` of a URL. */
export function publishKeyOf(uri: string): string | null {
  return new URLSearchParams(/\?([^#]*)/.exec(uri)?.[1] ?? '').get('key')
}

/**
 * Whether a digest's `uri` is about the stream: the URL of the request, of the session or of one of
 * its tracks, since clients differ in which of them they hash.
 */
export function isAbout(uri: string, stream: string): boolean {
  const segments = segmentsOf(uri)
  return segments[0] === stream || (segments[0] === APP && segments[1] === stream)
}

/**
 * Which media a SETUP means. Encoders append the control of the description to the URL: ffmpeg to
 * the end, so behind a query when there is one, GStreamer to the path. An absolute control is the URL.
 *
 * @param controls in the order of the medias
 * @returns the media's index and the URL without its control, or `null`
 */
export function matchControl(
  uri: string,
  controls: readonly (string | null)[],
): { readonly index: number; readonly base: string } | null {
  const queryAt = uri.indexOf('?')
  const path = queryAt < 0 ? uri : uri.slice(0, queryAt)
  const query = queryAt < 0 ? '' : uri.slice(queryAt)
  let best: { index: number; base: string; length: number } | null = null
  for (const [index, control] of controls.entries()) {
    if (control === null || control === '' || control === '*') continue
    const base = baseOf(uri, path, query, control)
    if (base === null || control.length <= (best?.length ?? 0)) continue
    best = { index, base, length: control.length }
  }
  if (best !== null) return { index: best.index, base: best.base }
  // Without a control the URL of the whole is the media's (RFC 2326 §C.1.1), if there is only one.
  return controls.length === 1 ? { index: 0, base: uri.replace(/\/+$/, '') } : null
}

function baseOf(uri: string, path: string, query: string, control: string): string | null {
  if (uri === control) return uri
  const suffix = `/${control.replace(/^\/+/, '')}`
  if (uri.endsWith(suffix)) return uri.slice(0, -suffix.length)
  if (path.endsWith(suffix)) return path.slice(0, -suffix.length) + query
  return null
}

function segmentsOf(uri: string): readonly string[] {
  const path = uri.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '')
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map(decodeSegment)
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment // no valid escape: then no stream is named so
  }
}
