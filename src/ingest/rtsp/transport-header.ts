/** One way of carrying a media, as `Transport` offers or confirms it (RFC 2326 §12.39). */
export type Transport = {
  readonly lower: 'tcp' | 'udp'
  /** `RTP/AVP`, `RTP/SAVP`, ..., in upper case. */
  readonly profile: string
  readonly isMulticast: boolean
  /** Channels of RTP and RTCP in the connection. */
  readonly interleaved: Pair | null
  readonly clientPort: Pair | null
  readonly serverPort: Pair | null
  readonly ssrc: number | null
  /** Host that the media comes from, when it is another. */
  readonly source: string | null
  /** In lower case, e.g. `record`. */
  readonly mode: string | null
}

/** Of RTP and of RTCP. */
export type Pair = readonly [number, number]

const MAX_TRANSPORTS = 16

/**
 * Reads the header in the dialects of cameras and encoders: quotes, any case, spaces, a `;` at the
 * end, a comma between preferences. What is not understood is left out.
 *
 * @returns in the peer's order of preference
 */
export function parseTransports(value: string): readonly Transport[] {
  return splitOutsideQuotes(value, ',')
    .slice(0, MAX_TRANSPORTS)
    .flatMap((each) => {
      const transport = parseTransport(each)
      return transport === null ? [] : [transport]
    })
}

function parseTransport(text: string): Transport | null {
  const [protocol = '', ...parts] = splitOutsideQuotes(text, ';')
  const [, profile, lower] =
    /^(RTP\/[A-Z0-9]+)(?:\/(TCP|UDP))?$/.exec(protocol.replace(/\s+/g, '').toUpperCase()) ?? []
  if (profile === undefined) return null
  const parameters = new Map<string, string>()
  for (const part of parts) {
    const equals = part.indexOf('=')
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase()
    const quoted = equals < 0 ? '' : part.slice(equals + 1).trim()
    if (name !== '') parameters.set(name, quoted.replace(/^"(.*)"$/, '$1').trim())
  }
  return {
    lower: lower === 'TCP' ? 'tcp' : 'udp',
    profile,
    isMulticast: parameters.has('multicast'),
    interleaved: parsePair(parameters.get('interleaved'), 255),
    clientPort: parsePair(parameters.get('client_port'), 65_535),
    serverPort: parsePair(parameters.get('server_port'), 65_535),
    ssrc: parseSsrc(parameters.get('ssrc')),
    source: parameters.get('source') || null,
    mode: parameters.get('mode')?.toLowerCase() || null,
  }
}

/** `8000-8001`, or the first alone. */
function parsePair(text: string | undefined, largest: number): Pair | null {
  const [, low, high] = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(text ?? '') ?? []
  if (low === undefined) return null
  const pair: Pair = [Number(low), high === undefined ? Number(low) + 1 : Number(high)]
  return pair.every((value) => value <= largest) ? pair : null
}

/** Eight hexadecimal digits; Hikvision puts spaces between them. */
function parseSsrc(text: string | undefined): number | null {
  const digits = (text ?? '').replace(/\s+/g, '').replace(/^0x/i, '')
  return /^[0-9a-f]{1,8}$/i.test(digits) ? Number.parseInt(digits, 16) : null
}

/** Trimmed, without empty ones. */
export function splitOutsideQuotes(text: string, separator: ',' | ';'): readonly string[] {
  const parts: string[] = []
  let from = 0
  let isQuoted = false
  for (let at = 0; at <= text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted
    if (at < text.length && (isQuoted || text[at] !== separator)) continue
    parts.push(text.slice(from, at).trim())
    from = at + 1
  }
  return parts.filter((part) => part !== '')
}
