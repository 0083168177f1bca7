/** One variant of a Multivariant (master) Playlist; RFC 8216 §4.3.4.2. */
export type Variant = {
  readonly uri: string
  /** Of the densest segment. */
  readonly peakBps: number
  readonly averageBps: number
  /** RFC 6381 codec strings of the media in the variant. */
  readonly codecs: readonly string[]
  /** `null` without video. */
  readonly resolution: { readonly widthPx: number; readonly heightPx: number } | null
  /** Pictures per second; `null` without video or when not known. */
  readonly frameRate: number | null
}

/** Renders a master playlist of one variant. */
export function toMasterPlaylist(variant: Variant): string {
  const attributes = [
    `BANDWIDTH=${Math.ceil(variant.peakBps)}`,
    `AVERAGE-BANDWIDTH=${Math.ceil(variant.averageBps)}`,
    `CODECS="${variant.codecs.join(',')}"`,
  ]
  if (variant.resolution !== null) {
    attributes.push(`RESOLUTION=${variant.resolution.widthPx}x${variant.resolution.heightPx}`)
  }
  if (variant.frameRate !== null) attributes.push(`FRAME-RATE=${variant.frameRate.toFixed(3)}`)
  return ['#EXTM3U', `#EXT-X-STREAM-INF:${attributes.join(',')}`, variant.uri, ''].join('\n')
}
