// A strict reader of live playlists with parts (draft-pantos-hls-rfc8216bis), which throws at what breaks
// its rules, and at what changes between two of them.

export type ReadPart = {
  readonly uri: string
  readonly durationS: number
  readonly isIndependent: boolean
}
export type ReadSegment = {
  readonly sequence: number
  /** `null` while it grows. */
  readonly uri: string | null
  readonly durationS: number | null
  readonly initUri: string
  readonly dateMs: number
  readonly isDiscontinuous: boolean
  readonly parts: readonly ReadPart[]
}
export type ReadPlaylist = {
  readonly targetS: number
  readonly partTargetS: number
  readonly partHoldBackS: number
  readonly segments: readonly ReadSegment[]
  readonly hint: string | null
}

export function readPlaylist(text: string): ReadPlaylist {
  const lines = text.split('\n')
  if (lines[0] !== '#EXTM3U' || lines.at(-1) !== '') throw new Error('first or last line')
  const once = (tag: string) => {
    const found = lines.filter((line) => line.startsWith(`#${tag}:`))
    if (found.length !== 1) throw new Error(`${found.length} times ${tag}`)
    return found[0]!.slice(tag.length + 2)
  }
  const targetS = Number(once('EXT-X-TARGETDURATION'))
  const partTargetS = Number(attributes(once('EXT-X-PART-INF')).get('PART-TARGET'))
  const control = attributes(once('EXT-X-SERVER-CONTROL'))
  const partHoldBackS = Number(control.get('PART-HOLD-BACK'))
  if (control.get('CAN-BLOCK-RELOAD') !== 'YES') throw new Error('no blocking reload')
  // §4.4.3.8: at least twice, and it should be at least three times, the part target; 3 targets.
  if (!(partHoldBackS >= 3 * partTargetS - 0.001)) throw new Error('PART-HOLD-BACK')
  if (!(Number(control.get('HOLD-BACK')) >= 3 * targetS)) throw new Error('HOLD-BACK')
  if (!(partTargetS > 0 && partTargetS <= targetS)) throw new Error('PART-TARGET')

  const segments: ReadSegment[] = []
  let sequence = Number(once('EXT-X-MEDIA-SEQUENCE'))
  let initUri = ''
  let hint: string | null = null
  const fresh = () => ({ dateMs: NaN, isDiscontinuous: false, durationS: null as number | null })
  let open = fresh()
  let parts: ReadPart[] = []
  const close = (uri: string | null) => {
    if (Number.isNaN(open.dateMs) || initUri === '')
      throw new Error('a segment without date or map')
    if ((uri === null) !== (open.durationS === null)) throw new Error('EXTINF and URI')
    segments.push({ sequence, uri, initUri, parts, ...open })
    checkParts(segments.at(-1)!, { partTargetS, targetS })
    sequence++
    open = fresh()
    parts = []
  }
  for (const line of lines) {
    if (hint !== null && line !== '') throw new Error('something behind the hint')
    const [, tag, value] = /^#(EXT[^:]*):?(.*)$/.exec(line) ?? []
    // §4.4.4.9: what is said of the parent comes before its first part.
    if (parts.length > 0 && /MAP|DISCONTINUITY$|DATE-TIME/.test(tag ?? '')) throw new Error(line)
    if (tag === 'EXT-X-MAP') initUri = attributes(value!).get('URI')!
    else if (tag === 'EXT-X-PROGRAM-DATE-TIME') open.dateMs = Date.parse(value!)
    else if (tag === 'EXT-X-DISCONTINUITY') open.isDiscontinuous = true
    else if (tag === 'EXTINF') open.durationS = Number(value!.split(',')[0])
    else if (tag === 'EXT-X-PART') parts.push(toPart(attributes(value!)))
    else if (tag === 'EXT-X-PRELOAD-HINT') {
      const hinted = attributes(value!)
      if (hinted.get('TYPE') !== 'PART') throw new Error(line)
      hint = hinted.get('URI')!
    } else if (line !== '' && !line.startsWith('#')) close(line)
  }
  if (parts.length > 0) close(null)
  return { targetS, partTargetS, partHoldBackS, segments, hint }
}

/** Throws when `next` takes back what `before` has said (§6.2.1, §6.2.2). */
export function checkProgress(before: ReadPlaylist, next: ReadPlaylist): void {
  if (next.partTargetS !== before.partTargetS) throw new Error('PART-TARGET has changed')
  for (const old of before.segments) {
    const now = next.segments.find(({ sequence }) => sequence === old.sequence)
    if (now === undefined) {
      if (old.sequence >= next.segments[0]!.sequence) throw new Error(`${old.sequence} is gone`)
      continue
    }
    if (old.uri !== null && now.uri !== old.uri) throw new Error(`${old.sequence} is another`)
    if (now.initUri !== old.initUri || now.dateMs !== old.dateMs) throw new Error('map or date')
    const shared = now.parts.slice(0, old.parts.length)
    const isKept = now.parts.length === 0 || JSON.stringify(shared) === JSON.stringify(old.parts)
    if (!isKept) throw new Error(`parts of ${old.sequence} have changed`)
  }
  const listed = next.segments.flatMap(({ parts }) => parts.map(({ uri }) => uri))
  const all = before.segments.flatMap(({ parts }) => parts.map(({ uri }) => uri))
  const isNew = listed.some((uri) => !all.includes(uri))
  if (isNew && before.hint !== null && !listed.includes(before.hint)) {
    throw new Error(`${before.hint} was hinted at and did not come`)
  }
}

function checkParts(
  { sequence, parts, durationS }: ReadSegment,
  { partTargetS, targetS }: { readonly partTargetS: number; readonly targetS: number },
): void {
  if (durationS !== null && Math.round(durationS) > targetS) throw new Error(`EXTINF ${durationS}`)
  for (const [i, part] of parts.entries()) {
    if (part.durationS > partTargetS) throw new Error(`part ${sequence}-${i}: ${part.durationS} s`)
    const isLast = i === parts.length - 1
    if (!isLast && part.durationS < 0.85 * partTargetS - 0.0005) {
      throw new Error(`part ${sequence}-${i} is short: ${part.durationS} s of ${partTargetS}`)
    }
  }
  const sum = parts.reduce((seconds, part) => seconds + part.durationS, 0)
  // The next fragment's sound may begin before its pictures, by their reordering delay.
  if (parts.length > 0 && durationS !== null && Math.abs(sum - durationS) > 0.35) {
    throw new Error(`parts of ${sequence} last ${sum} s, it ${durationS} s`)
  }
}

function toPart(values: ReadonlyMap<string, string>): ReadPart {
  return {
    uri: values.get('URI')!,
    durationS: Number(values.get('DURATION')),
    isIndependent: values.get('INDEPENDENT') === 'YES',
  }
}

function attributes(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)(?:,|$)/g)].map(([, name, value]) => [
      name!,
      value!.replaceAll('"', ''),
    ]),
  )
}
