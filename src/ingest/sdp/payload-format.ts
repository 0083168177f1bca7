/** One payload type of a media description: how its RTP payloads are to be read. */
export type PayloadFormat = {
  /** 0..127 */
  readonly payloadType: number
  /** The encoding name in upper case, e.g. `H264`; empty where nothing tells. */
  readonly encoding: string
  /** RTP ticks per second; at least 1. */
  readonly clockRateHz: number
  readonly channels: number | null
  /** From `a=fmtp`; names in lower case, values without surrounding spaces and quotes. */
  readonly formatParameters: ReadonlyMap<string, string>
}

/** Encoding, clock rate and channels of the payload types that need no `a=rtpmap` (RFC 3551 §6). */
const STATIC_FORMATS = new Map<number, readonly [string, number, number | null]>([
  [0, ['PCMU', 8000, 1]],
  [3, ['GSM', 8000, 1]],
  [4, ['G723', 8000, 1]],
  [5, ['DVI4', 8000, 1]],
  [6, ['DVI4', 16_000, 1]],
  [7, ['LPC', 8000, 1]],
  [8, ['PCMA', 8000, 1]],
  [9, ['G722', 8000, 1]],
  [10, ['L16', 44_100, 2]],
  [11, ['L16', 44_100, 1]],
  [12, ['QCELP', 8000, 1]],
  [13, ['CN', 8000, 1]],
  [14, ['MPA', 90_000, null]],
  [15, ['G728', 8000, 1]],
  [16, ['DVI4', 11_025, 1]],
  [17, ['DVI4', 22_050, 1]],
  [18, ['G729', 8000, 1]],
  [25, ['CELB', 90_000, null]],
  [26, ['JPEG', 90_000, null]],
  [28, ['NV', 90_000, null]],
  [31, ['H261', 90_000, null]],
  [32, ['MPV', 90_000, null]],
  [33, ['MP2T', 90_000, null]],
  [34, ['H263', 90_000, null]],
])

/** Beyond this no RTP clock goes; a lying one must not make times that lose precision. */
const MAX_CLOCK_RATE_HZ = 10_000_000

/**
 * @param rtpmap what follows the payload type: `H264/90000`, `opus/48000/2`; `null` without one
 * @param fmtp what follows the payload type: `name=value;name=value`
 */
export function toPayloadFormat(
  payloadType: number,
  rtpmap: string | null,
  fmtp: string | null,
  kind: string,
): PayloadFormat {
  const formatParameters = parseFormatParameters(fmtp ?? '')
  const fixed = STATIC_FORMATS.get(payloadType)
  const [name = '', rate = '', count = ''] = (rtpmap ?? '').split('/').map((part) => part.trim())
  const clockRateHz = toWhole(rate, MAX_CLOCK_RATE_HZ)
  return {
    payloadType,
    encoding: name === '' ? (fixed?.[0] ?? guessEncoding(formatParameters)) : name.toUpperCase(),
    clockRateHz: clockRateHz ?? fixed?.[1] ?? (kind === 'audio' ? 8000 : 90_000),
    channels: toWhole(count, 255) ?? (name === '' ? (fixed?.[2] ?? null) : null),
    formatParameters,
  }
}

/** `name=value; name=value`, in any order, with empty parts and a value that has `=` itself. */
export function parseFormatParameters(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase()
    const value = equals < 0 ? '' : part.slice(equals + 1).trim()
    if (name !== '') parameters.set(name, value.replace(/^"(.*)"$/s, '$1'))
  }
  return parameters
}

/** Cameras that forget the rtpmap still send the parameter sets. */
function guessEncoding(parameters: ReadonlyMap<string, string>): string {
  if (parameters.has('sprop-parameter-sets')) return 'H264'
  if (parameters.has('sprop-sps')) return 'H265'
  return ''
}

function toWhole(text: string, largest: number): number | null {
  if (!/^\d{1,9}$/.test(text)) return null
  const value = Number(text)
  return value >= 1 && value <= largest ? value : null
}
