import {
  CODEC_ACM,
  CODEC_OPUS,
  CODEC_PCM_BIG_ENDIAN,
  CODEC_PCM_LITTLE_ENDIAN,
} from '../../../domain/track.ts'
import { toOpusHead } from '../../../media/opus/opus-head.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../../media/pcm/wave-format.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import type { TrackFormat } from './depacketiser.ts'

/** G.711: eight bits a sample at any clock. */
export function toG711Format(format: PayloadFormat, law: 'alaw' | 'mulaw'): TrackFormat {
  const wave = { tag: WAVE_FORMAT[law], bitsPerSample: 8, ...shapeOf(format) }
  return toAudio(CODEC_ACM, toWaveFormatEx(wave), wave)
}

/** G.722: the RTP clock says 8000 by an old mistake; the audio has 16,000 (RFC 3551 §4.5.2). */
export function toG722Format(format: PayloadFormat): TrackFormat {
  const { channels } = shapeOf(format)
  const wave = { tag: WAVE_FORMAT.g722, bitsPerSample: 4, channels, sampleRateHz: 16_000 }
  return toAudio(CODEC_ACM, toWaveFormatEx(wave), wave)
}

/** G.726 at 2 to 5 bits a sample. */
export function toG726Format(format: PayloadFormat, bitsPerSample: number): TrackFormat {
  const wave = { tag: WAVE_FORMAT.g726, bitsPerSample, ...shapeOf(format) }
  return toAudio(CODEC_ACM, toWaveFormatEx(wave), wave)
}

/** L16 and its kin are in network byte order; L8 has an offset of 128, as WAVE has it (§4.5.10). */
export function toLinearFormat(format: PayloadFormat, bitDepth: number): TrackFormat {
  const codecId = bitDepth === 8 ? CODEC_PCM_LITTLE_ENDIAN : CODEC_PCM_BIG_ENDIAN
  return toAudio(codecId, new Uint8Array(0), { ...shapeOf(format), bitDepth })
}

/** RFC 7587 §7: the rtpmap always says two channels; `sprop-stereo` says what is sent. */
export function toOpusFormat({ formatParameters }: PayloadFormat): TrackFormat {
  const channels = formatParameters.get('sprop-stereo') === '1' ? 2 : 1
  const inputRateHz = Number(formatParameters.get('sprop-maxcapturerate') ?? 48_000) || 48_000
  const head = toOpusHead({ channels, inputRateHz: Math.min(inputRateHz, 48_000) })
  return toAudio(CODEC_OPUS, head, { sampleRateHz: 48_000, channels })
}

/**
 * G.726 fills bytes from the low end in RTP (RFC 3551 §4.5.4) and from the high end in AAL2 and in
 * WAVE: the same codes the other way round.
 */
export function toHighBitsFirst(payload: Uint8Array, bitsPerSample: number): Uint8Array {
  const turned = new Uint8Array(payload.length)
  const bits = payload.length * 8
  for (let start = 0; start + bitsPerSample <= bits; start += bitsPerSample) {
    for (let i = 0; i < bitsPerSample; i++) {
      const from = start + i
      const bit = (payload[from >> 3]! >> (from & 7)) & 1
      const to = start + bitsPerSample - 1 - i
      turned[to >> 3]! |= bit << (7 - (to & 7))
    }
  }
  return turned
}

function shapeOf({ clockRateHz, channels }: PayloadFormat) {
  return { sampleRateHz: clockRateHz, channels: channels ?? 1 }
}

function toAudio(
  codecId: string,
  codecPrivate: Uint8Array,
  shape: NonNullable<TrackFormat['audio']>,
): TrackFormat {
  const { sampleRateHz, channels, bitDepth } = shape
  const audio = { sampleRateHz, channels, ...(bitDepth === undefined ? {} : { bitDepth }) }
  return { kind: 'audio', codecId, codecPrivate, video: null, audio }
}
