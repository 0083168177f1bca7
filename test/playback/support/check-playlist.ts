/** A media playlist, read as strictly as RFC 8216 and draft-pantos-hls-rfc8216bis have it. */
export type ReadPlaylist = {
  readonly version: number
  readonly targetDurationS: number
  readonly mediaSequence: number
  readonly discontinuitySequence: number
  readonly type: string | null
  readonly isEnded: boolean
  readonly segments: readonly ReadSegment[]
}

export type ReadSegment = {
  readonly uri: string
  readonly durationS: number
  readonly discontinuity: boolean
  readonly map: string | null
  readonly dateTime: string | null
  readonly gap: boolean
  /** Discontinuities up to and including it, counted as §6.2.2 has it. */
  readonly discontinuities: number
}

const ONCE = [
  'EXT-X-VERSION',
  'EXT-X-TARGETDURATION',
  'EXT-X-MEDIA-SEQUENCE',
  'EXT-X-DISCONTINUITY-SEQUENCE',
  'EXT-X-PLAYLIST-TYPE',
  'EXT-X-INDEPENDENT-SEGMENTS',
  'EXT-X-ENDLIST',
]
const PER_SEGMENT = [
  'EXTINF',
  'EXT-X-DISCONTINUITY',
  'EXT-X-MAP',
  'EXT-X-PROGRAM-DATE-TIME',
  'EXT-X-GAP',
]
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** @throws Error that names the rule and the line */
export function readMediaPlaylist(text: string): ReadPlaylist {
  const lines = text.split('\n')
  rule('§4.3.1.1: begins with EXTM3U', lines[0] === '#EXTM3U', lines[0])
  rule('§4.1: the last line ends, and no line has a control character', lines.pop() === '')
  const once = new Map<string, string>()
  const segments: ReadSegment[] = []
  let next: Record<string, string> = {}
  let map: string | null = null
  for (const line of lines.slice(1)) {
    rule('§4.1: no control characters, no blank lines', /^[\x20-\x7e]+$/.test(line), line)
    if (!line.startsWith('#')) {
      const discontinuities = segments.at(-1)?.discontinuities ?? count(once)
      map = readMap(next['EXT-X-MAP']) ?? map
      segments.push(toSegment(line, next, { map, discontinuities }))
      next = {}
      continue
    }
    const [, name, value = ''] = /^#([A-Z0-9-]+)(?::(.*))?$/.exec(line) ?? []
    if (name !== undefined && PER_SEGMENT.includes(name)) {
      rule('§4.3.2: a tag applies to one segment once', next[name] === undefined, line)
      next[name] = value
      continue
    }
    rule('§4: a tag that a player knows', name !== undefined && ONCE.includes(name), line)
    rule('§4.3.3: a playlist has a tag once', !once.has(name!), line)
    const isLate = segments.length > 0 && name !== 'EXT-X-ENDLIST'
    rule('§4.3.3.2, §4.3.3.3: before the first segment', !isLate, line)
    once.set(name!, value)
  }
  rule('§4.3.2: nothing behind the last segment', Object.keys(next).length === 0)
  const playlist = {
    version: whole(once, 'EXT-X-VERSION'),
    targetDurationS: whole(once, 'EXT-X-TARGETDURATION'),
    mediaSequence: whole(once, 'EXT-X-MEDIA-SEQUENCE'),
    discontinuitySequence: count(once),
    type: once.get('EXT-X-PLAYLIST-TYPE') ?? null,
    isEnded: once.has('EXT-X-ENDLIST'),
    segments,
  }
  checkWhole(playlist)
  return playlist
}

function checkWhole({ version, targetDurationS, segments, type, isEnded }: ReadPlaylist): void {
  rule('§4.3.3.5: VOD or EVENT', type === null || type === 'VOD' || type === 'EVENT', type)
  rule('§4.3.3.5: VOD does not change', type !== 'VOD' || isEnded)
  rule('§4: a playlist has segments', segments.length > 0)
  for (const [i, segment] of segments.entries()) {
    const { durationS, map, gap, discontinuity } = segment
    rule(
      '§4.3.3.1: EXTINF rounded is at most the target',
      Math.round(durationS) <= targetDurationS,
      segment.uri,
    )
    rule('§7: fractions want version 3', version >= 3)
    rule('§7: EXT-X-MAP wants version 6', map === null || version >= 6)
    rule('bis §8: EXT-X-GAP wants version 8', !gap || version >= 8)
    const before = segments[i - 1]?.map ?? null
    const changed = before !== null && map !== before
    rule('§4.3.2.3: other parameters are a discontinuity', !changed || discontinuity, segment.uri)
    const isMp4 = /\.mp4|\.m4s/.test(segment.uri)
    rule('§3.3: fMP4 has a Media Initialization Section', !isMp4 || gap || map !== null)
  }
}

/** What may become of a playlist that is loaded again. @throws Error that names the rule */
export function checkReload(before: ReadPlaylist, after: ReadPlaylist): void {
  rule('§6.2.1: the target duration stays', before.targetDurationS === after.targetDurationS)
  const removed = after.mediaSequence - before.mediaSequence
  rule('§6.2.2: numbers rise', removed >= 0)
  rule(
    '§6.2.1: nothing follows the end',
    !before.isEnded || after.segments.length === before.segments.length,
  )
  rule('§6.2.2: segments go from the front alone', removed <= before.segments.length)
  for (const [i, segment] of before.segments.slice(removed).entries()) {
    const { discontinuity: _, ...same } = after.segments[i] ?? segment
    const { discontinuity: __, ...was } = segment
    rule(
      '§6.2.1: what is listed does not change',
      after.segments[i] !== undefined && JSON.stringify(was) === JSON.stringify(same),
      JSON.stringify([was, same]),
    )
  }
}

/** @returns the attributes of the variant and of the renditions. @throws Error that names the rule */
export function readMasterPlaylist(text: string) {
  const lines = text.trimEnd().split('\n')
  rule('§4.3.1.1: begins with EXTM3U', lines[0] === '#EXTM3U')
  const media: Attributes[] = []
  const variants: (Attributes & { readonly uri: string })[] = []
  for (const [i, line] of lines.entries()) {
    if (line.startsWith('#EXT-X-MEDIA:')) media.push(readAttributes(line))
    if (line.startsWith('#EXT-X-STREAM-INF:')) {
      const uri = lines[i + 1] ?? '#'
      rule('§4.3.4.2: the URI follows', !uri.startsWith('#'), line)
      variants.push({ ...readAttributes(line), uri })
    }
  }
  for (const each of media) {
    for (const name of ['TYPE', 'GROUP-ID', 'NAME']) {
      rule('§4.3.4.1: required', each[name] !== undefined, name)
    }
    rule('§4.3.4.1: FORCED is of subtitles', each['TYPE'] === 'SUBTITLES' || !each['FORCED'])
    const isAuto = each['DEFAULT'] !== 'YES' || each['AUTOSELECT'] === 'YES'
    rule('§4.3.4.1: what is default is chosen by itself', isAuto)
  }
  for (const { BANDWIDTH, AUDIO } of variants) {
    rule('§4.3.4.2: BANDWIDTH', /^[1-9]\d*$/.test(BANDWIDTH ?? ''), BANDWIDTH)
    const groups = media.map((each) => each['GROUP-ID'])
    rule('§4.3.4.2.1: the group exists', AUDIO === undefined || groups.includes(AUDIO))
  }
  rule('§4.3.4: a variant', variants.length > 0)
  return { media, variants }
}

type Attributes = Readonly<Record<string, string>>

/** §4.2: names of capitals, values quoted or not, separated by commas without spaces. */
function readAttributes(line: string): Attributes {
  const list = line.slice(line.indexOf(':') + 1)
  const pattern = /([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)/gy
  const attributes: Record<string, string> = {}
  let end = 0
  for (const [whole, name, value] of list.matchAll(pattern)) {
    rule('§4.2: an attribute is there once', attributes[name!] === undefined, line)
    attributes[name!] = value!.replace(/^"|"$/g, '')
    end += whole.length
  }
  rule('§4.2: an attribute list', end === list.length, line)
  return attributes
}

function toSegment(
  uri: string,
  tags: Record<string, string>,
  { map, discontinuities }: { map: string | null; discontinuities: number },
): ReadSegment {
  const duration = /^(\d+\.\d{1,6}),/.exec(tags['EXTINF'] ?? '')?.[1]
  rule('§4.3.2.1: EXTINF', duration !== undefined && Number(duration) > 0, uri)
  const dateTime = tags['EXT-X-PROGRAM-DATE-TIME'] ?? null
  rule('§4.3.2.6: ISO 8601 with a zone', dateTime === null || DATE_TIME.test(dateTime), dateTime)
  const discontinuity = tags['EXT-X-DISCONTINUITY'] !== undefined
  return {
    ...{ uri, map, dateTime, discontinuity },
    durationS: Number(duration),
    gap: tags['EXT-X-GAP'] !== undefined,
    discontinuities: discontinuities + (discontinuity ? 1 : 0),
  }
}

function readMap(value: string | undefined): string | null {
  if (value === undefined) return null
  const uri = /^URI="([^"]+)"$/.exec(value)?.[1]
  rule('§4.3.2.5: EXT-X-MAP has a URI', uri !== undefined, value)
  return uri!
}

function whole(once: ReadonlyMap<string, string>, name: string): number {
  const value = once.get(name) ?? ''
  rule(`a whole number: ${name}`, /^\d+$/.test(value), value)
  return Number(value)
}

function count(once: ReadonlyMap<string, string>): number {
  return once.has('EXT-X-DISCONTINUITY-SEQUENCE') ? whole(once, 'EXT-X-DISCONTINUITY-SEQUENCE') : 0
}

function rule(name: string, holds: boolean, where?: string | null): void {
  if (!holds) throw new Error(`${name}: ${where ?? 'broken'}`)
}
