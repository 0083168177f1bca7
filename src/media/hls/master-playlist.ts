/** One variant of a Multivariant (master) Playlist; RFC 8216 §4.3.4.2. */
export type Variant = {
  readonly uri: string
  /** Of the densest segment. */
  readonly peakBps: number
  readonly averageBps: number
  /** RFC 6381 codec strings of the media in the variant; empty: not known yet. */
  readonly codecs: readonly string[]
  /** `null` without video. */
  readonly resolution: { readonly widthPx: number; readonly heightPx: number } | null
  /** Pictures per second; `null` without video or when not known. */
  readonly frameRate: number | null
  /** Playlist of the sound, when it is apart from the pictures. */
  readonly audioUri?: string | null
}

/** Renders a master playlist of one variant. */
export function toMasterPlaylist(variant: Variant): string {
  const attributes = [
    `BANDWIDTH=${Math.ceil(variant.peakBps)}`,
    `AVERAGE-BANDWIDTH=${Math.ceil(variant.averageBps)}`,
  ]
  if (variant.codecs.length > 0) attributes.push(`CODECS="${variant.codecs.join(',')}"`)
  if (variant.resolution !== null) {
    attributes.push(`RESOLUTION=${variant.resolution.widthPx}x${variant.resolution.heightPx}`)
  }
  if (variant.frameRate !== null) attributes.push(`FRAME-RATE=${variant.frameRate.toFixed(3)}`)
  const lines = ['#EXTM3U']
  const audioUri = variant.audioUri ?? null
  if (audioUri !== null) {
    const rendition = `TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES`
    lines.push(`#EXT-X-MEDIA:${rendition},URI="${audioUri}"`)
    attributes.push('AUDIO="audio"')
  }
  lines.push(`#EXT-X-STREAM-INF:${attributes.join(',')}`, variant.uri, '')
  return lines.join('\n')
}
