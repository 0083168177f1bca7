import { MalformedMediaError } from '../../domain/errors.ts'
import { toPayloadFormat, type PayloadFormat } from './payload-format.ts'

/** What a camera or an encoder says about a session before it sends (RFC 8866). */
export type SessionDescription = {
  /** `s=`; empty when it is missing. */
  readonly name: string
  /** `a=control` above the first media: the aggregate's URL, `*` or `null`. */
  readonly control: string | null
  readonly medias: readonly MediaDescription[]
}

/** One `m=` line with what belongs to it. The payload format is its first one that we know. */
export type MediaDescription = PayloadFormat & {
  /** Its place in {@link SessionDescription.medias}. */
  readonly index: number
  readonly kind: 'video' | 'audio' | 'application'
  /** `a=control` as it stands there, without surrounding spaces. */
  readonly control: string | null
  /** Its own, else the session's. `sendonly` in an answer to DESCRIBE is a back channel. */
  readonly direction: 'sendonly' | 'recvonly' | 'sendrecv' | 'inactive' | null
  /** `RTP/AVP`, `RTP/SAVP`, ..., in upper case. */
  readonly protocol: string
  readonly port: number
  /** All payload types in the order of the line, the chosen one among them. */
  readonly formats: readonly PayloadFormat[]
  /** From `a=x-dimensions` or `a=framesize`: JPEG pictures too large for RFC 2435 need it. */
  readonly dimensions: { readonly widthPx: number; readonly heightPx: number } | null
}

const MAX_MEDIAS = 64
const MAX_FORMATS = 32
const KINDS = new Set<string>(['video', 'audio', 'application'])
const DIRECTIONS = new Set<string>(['sendonly', 'recvonly', 'sendrecv', 'inactive'])
/** Never a media by themselves: repair, retransmission, silence, keys of a telephone. */
const AUXILIARY = new Set(['RTX', 'RED', 'ULPFEC', 'FLEXFEC-03', 'CN', 'TELEPHONE-EVENT'])

/**
 * Reads a description as cameras write them: without `o=`, with trailing spaces and semicolons, with
 * names in any case and parameters in any order. A media line that cannot be read is left out,
 * together with its attributes.
 *
 * @throws MalformedMediaError when no media is left
 */
export function parseSdp(text: string): SessionDescription {
  let name = ''
  const session = new Map<string, string>()
  const sections: Section[] = []
  let section: Section | null = null
  let isSessionLevel = true
  for (const rawLine of text.split(/[\r\n]+/)) {
    const line = rawLine.trim()
    const equals = line.indexOf('=')
    const type = line.slice(0, Math.max(equals, 0)).trim()
    const value = line.slice(equals + 1).trim()
    if (type === 'm') {
      isSessionLevel = false
      section = sections.length < MAX_MEDIAS ? parseMediaLine(value) : null
      if (section !== null) sections.push(section)
    } else if (type === 's' && isSessionLevel) name = value
    else if (type === 'a') {
      if (isSessionLevel) addAttribute(session, value)
      else if (section !== null) addMediaAttribute(section, value)
    }
  }
  if (sections.length === 0) {
    throw new MalformedMediaError('no RTP media in the session description', {
      offset: text.length,
      path: 'SDP',
    })
  }
  return {
    name,
    control: session.get('control') ?? null,
    medias: sections.map((each, index) => toMedia(each, index, directionOf(session))),
  }
}

type Section = {
  readonly kind: MediaDescription['kind']
  readonly port: number
  readonly protocol: string
  readonly payloadTypes: readonly number[]
  readonly attributes: Map<string, string>
  readonly rtpmaps: Map<number, string>
  readonly fmtps: Map<number, string>
}

/** `video 0 RTP/AVP 96 97`; the port may be `0/2`. */
function parseMediaLine(value: string): Section | null {
  const [kind = '', port = '', protocol = '', ...formats] = value.split(/\s+/)
  const payloadTypes = formats
    .filter((format) => /^\d{1,3}$/.test(format) && Number(format) < 128)
    .map(Number)
    .slice(0, MAX_FORMATS)
  const lowerKind = kind.toLowerCase()
  if (!KINDS.has(lowerKind) || payloadTypes.length === 0) return null
  if (!/(^|\/)RTP\//i.test(protocol)) return null
  return {
    kind: lowerKind as Section['kind'],
    port: Number(/^\d{1,5}/.exec(port)?.[0] ?? 0),
    protocol: protocol.toUpperCase(),
    payloadTypes,
    attributes: new Map(),
    rtpmaps: new Map(),
    fmtps: new Map(),
  }
}

/** `name:value` or `name`; the first of a name counts. */
function addAttribute(attributes: Map<string, string>, text: string): void {
  const colon = text.indexOf(':')
  const name = (colon < 0 ? text : text.slice(0, colon)).trim().toLowerCase()
  if (attributes.has(name)) return
  attributes.set(name, colon < 0 ? '' : text.slice(colon + 1).trim())
}

function addMediaAttribute(section: Section, text: string): void {
  const [start, name, payloadType] = /^(rtpmap|fmtp)\s*:\s*(\d{1,3})/i.exec(text) ?? []
  if (start === undefined || name === undefined) {
    addAttribute(section.attributes, text)
    return
  }
  const value = text.slice(start.length).trim()
  const lines = name.toLowerCase() === 'rtpmap' ? section.rtpmaps : section.fmtps
  const known = lines.get(Number(payloadType))
  // Several fmtp lines of one payload type add up.
  if (known === undefined) lines.set(Number(payloadType), value)
  else if (lines === section.fmtps) lines.set(Number(payloadType), `${known};${value}`)
}

function toMedia(
  section: Section,
  index: number,
  sessionDirection: MediaDescription['direction'],
): MediaDescription {
  const { kind, port, protocol, attributes } = section
  const formats = section.payloadTypes.map((payloadType) =>
    toPayloadFormat(
      payloadType,
      section.rtpmaps.get(payloadType) ?? null,
      section.fmtps.get(payloadType) ?? null,
      kind,
    ),
  )
  const main = formats.find(({ encoding }) => encoding !== '' && !AUXILIARY.has(encoding))
  return {
    ...(main ?? formats[0]!),
    index,
    kind,
    control: attributes.get('control') ?? null,
    direction: directionOf(attributes) ?? sessionDirection,
    protocol,
    port,
    formats,
    dimensions: dimensionsOf(attributes),
  }
}

function directionOf(attributes: ReadonlyMap<string, string>): MediaDescription['direction'] {
  for (const name of attributes.keys()) {
    if (DIRECTIONS.has(name)) return name as MediaDescription['direction']
  }
  return null
}

/** `x-dimensions:1920,1080` or `framesize:96 1920-1080`. */
function dimensionsOf(attributes: ReadonlyMap<string, string>): MediaDescription['dimensions'] {
  const text = attributes.get('x-dimensions') ?? attributes.get('framesize') ?? ''
  const [, width, height] = /(\d{1,5})\s*[,-]\s*(\d{1,5})$/.exec(text) ?? []
  if (width === undefined || height === undefined) return null
  const dimensions = { widthPx: Number(width), heightPx: Number(height) }
  return dimensions.widthPx > 0 && dimensions.heightPx > 0 ? dimensions : null
}
