import { ByteCursor } from './byte-cursor.ts'
import {
  PACKET_CODED_FRAMES,
  PACKET_SEQUENCE_START,
  printableFourCc,
  readExtendedParts,
  type ExtendedPart,
} from './extended-header.ts'
import { NOTHING, type FlvNothing, type FlvUnknown } from './video-body.ts'

/**
 * Bodies of audio messages: FLV tags (Adobe FLV 10.1, Annex E.4.2) and their extension by FourCC
 * (Enhanced RTMP v2, "Enhanced Audio"). Data parts are views on the body, not copies.
 */
export type FlvAudio = FlvAudioPart | { readonly type: 'several'; readonly parts: FlvAudioPart[] }

export type FlvAudioPart =
  | {
      readonly type: 'config'
      readonly codec: AudioCodec
      readonly trackId: number
      readonly record: Uint8Array
    }
  | {
      readonly type: 'sample'
      readonly codec: AudioCodec
      readonly trackId: number
      /** The tag's first byte, see {@link readSoundFlags}; 0 by FourCC. */
      readonly flags: number
      readonly data: Uint8Array
    }
  | (FlvUnknown & { readonly trackId: number })
  | FlvNothing

export type AudioCodec =
  'aac' | 'opus' | 'flac' | 'ac3' | 'eac3' | 'mp3' | 'alaw' | 'mulaw' | 'pcm' | 'speex'

const SOUND_EXTENDED = 9
const SOUND_AAC = 10
/** FLV SoundFormat. 0 is PCM in the order of the sender's machine, which has long been the same. */
const LEGACY_AUDIO: Record<number, AudioCodec> = {
  0: 'pcm',
  2: 'mp3',
  3: 'pcm',
  7: 'alaw',
  8: 'mulaw',
  11: 'speex',
  14: 'mp3',
}
const FOURCC_AUDIO: Record<string, AudioCodec> = {
  mp4a: 'aac',
  Opus: 'opus',
  fLaC: 'flac',
  'ac-3': 'ac3',
  'ec-3': 'eac3',
  '.mp3': 'mp3',
}
export const AUDIO_FOURCCS = Object.keys(FOURCC_AUDIO)

const AUDIO_PACKET_MULTITRACK = 5

/**
 * ```
 * legacy:    | sound format 4 | rate 2 | size 1 | channels 1 | [AAC: packet type 8] | data
 * by FourCC: | 9 | packet type 4 | [ModEx] [multitrack] | FourCC | data
 * ```
 * MultichannelConfig is passed over: the configurations and frames of the codecs themselves say how
 * many channels there are.
 *
 * @throws MalformedMediaError when the body ends inside its header
 */
export function parseFlvAudio(body: Uint8Array): FlvAudio {
  if (body.length === 0) return NOTHING
  const flags = body[0]!
  const format = flags >> 4
  if (format === SOUND_EXTENDED) return parseExtendedAudio(body)
  if (format === SOUND_AAC) {
    const cursor = new ByteCursor(body, 1, 'FLV audio tag')
    const packetType = cursor.byte()
    return toAudio('aac', packetType, 0, cursor.rest())
  }
  const codec = LEGACY_AUDIO[format]
  if (codec === undefined) {
    return { type: 'unknown', codec: String(format), isConfig: false, trackId: 0, data: body }
  }
  if (body.length === 1) return NOTHING
  return { type: 'sample', codec, trackId: 0, flags, data: body.subarray(1) }
}

/** What a legacy tag says of its sound: nominal for AAC, MP3 and Speex, right for PCM. */
export function readSoundFlags(flags: number): {
  readonly sampleRateHz: number
  readonly bitsPerSample: number
  readonly channels: number
} {
  return {
    sampleRateHz: 44_100 >> (3 - ((flags >> 2) & 3)),
    bitsPerSample: (flags & 2) === 0 ? 8 : 16,
    channels: (flags & 1) + 1,
  }
}

function parseExtendedAudio(body: Uint8Array): FlvAudio {
  const cursor = new ByteCursor(body, 0, 'enhanced FLV audio tag')
  const parts = readExtendedParts(cursor, cursor.byte() & 0x0f, AUDIO_PACKET_MULTITRACK)
  const [only] = parts
  if (only === undefined) return NOTHING
  return parts.length === 1 ? toPart(only) : { type: 'several', parts: parts.map(toPart) }
}

function toPart({ packetType, fourCc, trackId, data }: ExtendedPart): FlvAudioPart {
  const codec = FOURCC_AUDIO[fourCc]
  if (codec !== undefined) return toAudio(codec, packetType, trackId, data)
  const isConfig = packetType === PACKET_SEQUENCE_START
  if (data.length === 0 || (!isConfig && packetType !== PACKET_CODED_FRAMES)) return NOTHING
  return { type: 'unknown', codec: printableFourCc(fourCc), isConfig, trackId, data }
}

function toAudio(
  codec: AudioCodec,
  packetType: number,
  trackId: number,
  data: Uint8Array,
): FlvAudioPart {
  if (data.length === 0) return NOTHING
  if (packetType === PACKET_SEQUENCE_START) return { type: 'config', codec, trackId, record: data }
  if (packetType !== PACKET_CODED_FRAMES) return NOTHING
  return { type: 'sample', codec, trackId, flags: 0, data }
}
