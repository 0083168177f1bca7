/** A Media Presentation Description of the live profile; ISO/IEC 23009-1 §5. */
export type Mpd = {
  /** Whole; or growing; or one that grew and has reached its end. */
  readonly kind: 'static' | 'dynamic' | 'ended'
  /** Of the whole presentation, unless it is still growing. */
  readonly durationMs: number | null
  readonly minBufferMs: number
  readonly maxSegmentMs: number
  /** Of a growing one. Its time is wall time: `availabilityStartTime` is 1970. */
  readonly live: MpdLive | null
  readonly periods: readonly Period[]
}

export type MpdLive = {
  readonly nowMs: number
  readonly updatePeriodMs: number
  readonly windowMs: number
  /** How far behind the newest segment players should be. */
  readonly delayMs: number
}

export type Period = {
  readonly id: string
  readonly startMs: number
  /** `null`: up to the next one, or not known yet. */
  readonly durationMs: number | null
  /** Media time at the start of the Period. */
  readonly offsetMs: number
  readonly segments: readonly TimelineSegment[]
  readonly representations: readonly Representation[]
}

export type TimelineSegment = {
  /** Media time. */
  readonly startMs: number
  readonly durationMs: number
  /** Of the service's own namespace; `null`: not to be shown. */
  readonly timestamp: string | null
  readonly fragmentNumber: string | null
}

export type Representation = {
  readonly id: string
  readonly kind: 'video' | 'audio'
  /** RFC 6381. */
  readonly codec: string
  readonly bandwidthBps: number
  readonly widthPx: number | null
  readonly heightPx: number | null
  readonly frameRate: number | null
  readonly sampleRateHz: number | null
  readonly channels: number | null
  /** Every segment begins with a sample from which on everything can be decoded. */
  readonly startsWithKey: boolean
  readonly initUri: string
  /** With `$Time$`: milliseconds of media time. */
  readonly mediaUri: string
}

/** Renders the MPD. Attributes and elements stand in the schema's order. */
export function toMpd(mpd: Mpd): string {
  const { live } = mpd
  const attributes = toAttributes({
    xmlns: 'urn:mpeg:dash:schema:mpd:2011',
    'xmlns:kvs': 'urn:amazon:kinesis:video',
    profiles: 'urn:mpeg:dash:profile:isoff-live:2011',
    type: mpd.kind === 'static' ? 'static' : 'dynamic',
    availabilityStartTime: live === null ? null : '1970-01-01T00:00:00Z',
    publishTime: live === null ? null : new Date(live.nowMs).toISOString(),
    mediaPresentationDuration: mpd.durationMs === null ? null : toDuration(mpd.durationMs),
    minimumUpdatePeriod:
      live === null || mpd.kind === 'ended' ? null : toDuration(live.updatePeriodMs),
    minBufferTime: toDuration(mpd.minBufferMs),
    timeShiftBufferDepth: live === null ? null : toDuration(live.windowMs),
    suggestedPresentationDelay: live === null ? null : toDuration(live.delayMs),
    maxSegmentDuration: toDuration(mpd.maxSegmentMs),
  })
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<MPD${attributes}>`,
    ...mpd.periods.flatMap(toPeriod),
  ]
  if (live !== null) {
    const value = new Date(live.nowMs).toISOString()
    lines.push(`<UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="${value}"/>`)
  }
  lines.push('</MPD>', '')
  return lines.join('\n')
}

function toPeriod(period: Period): readonly string[] {
  const { id, startMs, durationMs } = period
  const attributes = toAttributes({
    id,
    start: toDuration(startMs),
    duration: durationMs === null ? null : toDuration(durationMs),
  })
  const timeline = toTimeline(period.segments)
  const sets = period.representations.map((representation) =>
    toAdaptationSet(representation, period, timeline),
  )
  return [`<Period${attributes}>`, ...sets.flat(), '</Period>']
}

function toAdaptationSet(
  representation: Representation,
  { offsetMs }: Period,
  timeline: readonly string[],
): readonly string[] {
  const { id, kind, codec, channels, startsWithKey } = representation
  const set = toAttributes({
    id,
    contentType: kind,
    mimeType: `${kind}/mp4`,
    segmentAlignment: 'true',
    startWithSAP: startsWithKey ? 1 : null,
  })
  const stream = toAttributes({
    id,
    bandwidth: Math.max(1, Math.ceil(representation.bandwidthBps)),
    codecs: codec,
    width: representation.widthPx,
    height: representation.heightPx,
    frameRate: representation.frameRate === null ? null : toFrameRate(representation.frameRate),
    audioSamplingRate: representation.sampleRateHz,
  })
  const template = toAttributes({
    timescale: 1000,
    presentationTimeOffset: offsetMs,
    initialization: representation.initUri,
    media: representation.mediaUri,
  })
  const scheme = 'urn:mpeg:dash:23003:3:audio_channel_configuration:2011'
  const layout =
    channels === null
      ? []
      : [`<AudioChannelConfiguration schemeIdUri="${scheme}" value="${channels}"/>`]
  return [
    `<AdaptationSet${set}>`,
    `<SegmentTemplate${template}>`,
    '<SegmentTimeline>',
    ...timeline,
    '</SegmentTimeline>',
    '</SegmentTemplate>',
    `<Representation${stream}>`,
    ...layout,
    '</Representation>',
    '</AdaptationSet>',
  ]
}

/** §5.3.9.6: a run of segments of one duration that follow each other is one element. */
function toTimeline(segments: readonly TimelineSegment[]): readonly string[] {
  const lines: string[] = []
  for (let i = 0; i < segments.length;) {
    const first = segments[i]!
    let next = i + 1
    while (next < segments.length && repeats(first, segments[next - 1]!, segments[next]!)) next++
    const attributes = toAttributes({
      t: first.startMs,
      d: first.durationMs,
      r: next - i > 1 ? next - i - 1 : null,
      'kvs:ts': first.timestamp,
      'kvs:fn': first.fragmentNumber,
    })
    lines.push(`<S${attributes}/>`)
    i = next
  }
  return lines
}

function repeats(first: TimelineSegment, before: TimelineSegment, next: TimelineSegment): boolean {
  const isPlain = next.timestamp === null && next.fragmentNumber === null
  const follows = next.startMs === before.startMs + before.durationMs
  return isPlain && follows && next.durationMs === first.durationMs
}

/** xs:duration. */
function toDuration(ms: number): string {
  return `PT${ms / 1000}S`
}

/** §5.3.7.2: a whole number or a fraction of two. */
function toFrameRate(framesPerSecond: number): string {
  const whole = Math.round(framesPerSecond)
  return Math.abs(framesPerSecond - whole) < 0.001
    ? String(whole)
    : `${Math.round(framesPerSecond * 1000)}/1000`
}

function toAttributes(values: Readonly<Record<string, string | number | null>>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value))}"`)
    .join('')
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
