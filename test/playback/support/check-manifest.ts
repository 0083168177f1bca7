/** One element of an MPD. */
export type Element = {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
}

/** Children in the schema's order (ISO/IEC 23009-1, DASH-MPD.xsd), and attributes that must be there. */
const SCHEMA: Readonly<
  Record<string, { children: readonly string[]; required: readonly string[]; optional: RegExp }>
> = {
  MPD: {
    children: ['Period', 'UTCTiming'],
    required: ['xmlns', 'profiles', 'minBufferTime', 'type'],
    optional:
      /^(xmlns:kvs|availabilityStartTime|publishTime|mediaPresentationDuration|minimumUpdatePeriod|timeShiftBufferDepth|suggestedPresentationDelay|maxSegmentDuration)$/,
  },
  Period: { children: ['AdaptationSet'], required: ['id', 'start'], optional: /^duration$/ },
  AdaptationSet: {
    children: ['SegmentTemplate', 'Representation'],
    required: ['id', 'contentType', 'mimeType'],
    optional: /^(segmentAlignment|startWithSAP)$/,
  },
  SegmentTemplate: {
    children: ['SegmentTimeline'],
    required: ['timescale', 'initialization', 'media'],
    optional: /^presentationTimeOffset$/,
  },
  SegmentTimeline: { children: ['S'], required: [], optional: /^$/ },
  S: { children: [], required: ['t', 'd'], optional: /^(r|kvs:ts|kvs:fn)$/ },
  Representation: {
    children: ['AudioChannelConfiguration'],
    required: ['id', 'bandwidth', 'codecs'],
    optional: /^(width|height|frameRate|audioSamplingRate)$/,
  },
  AudioChannelConfiguration: { children: [], required: ['schemeIdUri', 'value'], optional: /^$/ },
  UTCTiming: { children: [], required: ['schemeIdUri', 'value'], optional: /^$/ },
}

const TYPES: Readonly<Record<string, RegExp>> = {
  // xs:duration, xs:dateTime, xs:unsignedInt and what the schema makes of them
  minBufferTime: /^PT\d+(\.\d+)?S$/,
  mediaPresentationDuration: /^PT\d+(\.\d+)?S$/,
  minimumUpdatePeriod: /^PT\d+(\.\d+)?S$/,
  timeShiftBufferDepth: /^PT\d+(\.\d+)?S$/,
  suggestedPresentationDelay: /^PT\d+(\.\d+)?S$/,
  maxSegmentDuration: /^PT\d+(\.\d+)?S$/,
  start: /^PT\d+(\.\d+)?S$/,
  duration: /^PT\d+(\.\d+)?S$/,
  availabilityStartTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  publishTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  type: /^(static|dynamic)$/,
  t: /^\d+$/,
  d: /^[1-9]\d*$/,
  r: /^[1-9]\d*$/,
  bandwidth: /^[1-9]\d*$/,
  frameRate: /^\d+(\/\d+)?$/,
  startWithSAP: /^[0-6]$/,
  segmentAlignment: /^(true|false)$/,
  mimeType: /^(video|audio)\/mp4$/,
}

export type ReadPeriod = {
  readonly id: string
  readonly startMs: number
  readonly offsetMs: number
  readonly segments: readonly { readonly startMs: number; readonly durationMs: number }[]
  readonly sets: readonly Element[]
}

export type ReadManifest = { readonly root: Element; readonly periods: readonly ReadPeriod[] }

/** Reads a manifest and checks it by the schema and the rules of §5.3. @throws Error that names the rule */
export function readManifest(xml: string): ReadManifest {
  const root = parse(xml)
  checkElement(root)
  const { attributes } = root
  const isStatic = attributes['type'] === 'static'
  if (isStatic) {
    rule('§5.3.1.2: static has a duration', attributes['mediaPresentationDuration'] !== undefined)
  } else {
    rule('§5.3.1.2: dynamic begins', attributes['availabilityStartTime'] !== undefined)
    rule('§5.3.1.2: dynamic is published', attributes['publishTime'] !== undefined)
  }
  const periods = root.children.filter(({ name }) => name === 'Period').map(readPeriod)
  rule('DASH-MPD.xsd: at least one Period', periods.length > 0)
  rule('§5.3.2.2: IDs are unique', new Set(periods.map(({ id }) => id)).size === periods.length)
  for (const [i, period] of periods.entries()) {
    const end = i === 0 ? -1 : periods[i - 1]!.startMs
    rule('§5.3.2: Periods are in order', period.startMs > end, period.id)
  }
  return { root, periods }
}

function readPeriod({ attributes, children: sets }: Element): ReadPeriod {
  const [template] = sets.flatMap(({ children }) => children.filter(isTemplate))
  const [timeline] = template?.children ?? []
  const segments = (timeline?.children ?? []).flatMap(({ attributes: { t, d, r } }) =>
    Array.from({ length: Number(r ?? 0) + 1 }, (_, i) => ({
      startMs: Number(t) + i * Number(d),
      durationMs: Number(d),
    })),
  )
  for (const [i, { startMs }] of segments.entries()) {
    const before = segments[i - 1]
    const ended = before === undefined || startMs >= before.startMs + before.durationMs
    rule('§5.3.9.6: segments do not overlap', ended, String(startMs))
  }
  return {
    id: attributes['id']!,
    startMs: toMs(attributes['start']!),
    offsetMs: Number(template?.attributes['presentationTimeOffset'] ?? 0),
    ...{ segments, sets },
  }
}

function isTemplate({ name }: Element): boolean {
  return name === 'SegmentTemplate'
}

/** A manifest that is loaded again. @throws Error that names the rule */
export function checkManifestReload(before: ReadManifest, after: ReadManifest): void {
  for (const period of after.periods) {
    const was = before.periods.find(({ id }) => id === period.id)
    if (was === undefined) continue
    rule('§5.4: a Period stays where it is', was.startMs === period.startMs, period.id)
    rule('§5.4: media time stays', was.offsetMs === period.offsetMs, period.id)
  }
}

function checkElement({ name, attributes, children }: Element): void {
  const schema = SCHEMA[name]
  if (schema === undefined) throw new Error(`DASH-MPD.xsd: no element ${name}`)
  for (const each of schema.required) rule(`${name} has ${each}`, attributes[each] !== undefined)
  for (const [each, value] of Object.entries(attributes)) {
    rule(`${name} has no ${each}`, schema.required.includes(each) || schema.optional.test(each))
    rule(`${name}@${each} has its type`, TYPES[each]?.test(value) ?? value !== '', value)
  }
  const order = children.map((child) => schema.children.indexOf(child.name))
  rule(
    `${name}: children in order`,
    order.every((at, i) => at >= 0 && at >= (order[i - 1] ?? 0)),
  )
  for (const child of children) checkElement(child)
}

export function toMs(duration: string): number {
  return Math.round(Number(/^PT([\d.]+)S$/.exec(duration)![1]) * 1000)
}

/** Well-formed XML of elements and attributes alone. */
function parse(xml: string): Element {
  const [declaration] = /^<\?xml version="1.0" encoding="UTF-8"\?>\n/.exec(xml) ?? ['']
  rule('XML declaration', declaration !== '')
  const top: Element[] = []
  const open: { name: string; children: Element[] }[] = [{ name: '', children: top }]
  const pattern = /\s*<(\/)?([\w:]+)((?:\s[\w:]+="[^"<]*")*)\s*(\/)?>\s*/gy
  pattern.lastIndex = declaration.length
  let end = pattern.lastIndex
  for (const [whole, closing, name, list, empty] of xml.matchAll(pattern)) {
    end += whole.length
    if (closing !== undefined) {
      rule('elements nest', open.pop()?.name === name, name)
      continue
    }
    const children: Element[] = []
    const attributes: Record<string, string> = {}
    for (const [, key, value] of list!.matchAll(/([\w:]+)="([^"]*)"/g)) {
      rule('only entities', !/&(?!#\d+;)/.test(value!), value)
      attributes[key!] = value!.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    }
    open.at(-1)!.children.push({ name: name!, attributes, children })
    if (empty === undefined) open.push({ name: name!, children })
  }
  rule('well-formed to the end', end === xml.length && open.length === 1 && top.length === 1)
  return top[0]!
}

function rule(name: string, holds: boolean, where?: string): void {
  if (!holds) throw new Error(`${name}: ${where ?? 'broken'}`)
}
