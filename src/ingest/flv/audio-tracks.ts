import {
  CODEC_AC3,
  CODEC_ACM,
  CODEC_EAC3,
  CODEC_FLAC,
  CODEC_MPEG_AUDIO,
  CODEC_OPUS,
  CODEC_PCM_LITTLE_ENDIAN,
  type Track,
} from '../../domain/track.ts'
import { parseAc3Frame } from '../../media/ac3/sync-frame.ts'
import { parseFlacStreamInfo, toFlacHeader } from '../../media/flac/stream-info.ts'
import { parseMpegAudioFrame } from '../../media/mpeg-audio/frame-header.ts'
import { OPUS_SAMPLE_RATE_HZ, parseOpusHead } from '../../media/opus/opus-head.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../media/pcm/wave-format.ts'
import { toAacTrack } from '../parameter-sets.ts'
import { readSoundFlags, type AudioCodec } from './audio-body.ts'

/**
 * A track from the configuration that its codec is announced with; `null` for codecs that have none
 * and say everything in their samples, see {@link toTrackOfSample}.
 *
 * @throws MalformedMediaError
 */
export function toTrackOfConfig(
  number: number,
  codec: AudioCodec,
  record: Uint8Array,
): Track | null {
  switch (codec) {
    case 'aac':
      return { ...toAacTrack(record), number }
    case 'opus': {
      const { channels } = parseOpusHead(record)
      return audioTrack(number, CODEC_OPUS, record, OPUS_SAMPLE_RATE_HZ, channels)
    }
    case 'flac': {
      const header = toFlacHeader(record)
      const { sampleRateHz, channels } = parseFlacStreamInfo(header)
      return audioTrack(number, CODEC_FLAC, header, sampleRateHz, channels)
    }
    default:
      return null
  }
}

/** Whether {@link toTrackOfSample} knows the codec. */
export function describesItself(codec: AudioCodec): boolean {
  return codec !== 'aac' && codec !== 'opus' && codec !== 'flac'
}

/**
 * A track from its first sample and the flags of the tag that it came in.
 *
 * @returns `null` when the sample does not begin as one of the codec
 */
export function toTrackOfSample(
  number: number,
  codec: AudioCodec,
  flags: number,
  data: Uint8Array,
): Track | null {
  switch (codec) {
    case 'ac3':
    case 'eac3': {
      const frame = parseAc3Frame(data)
      const codecId = codec === 'ac3' ? CODEC_AC3 : CODEC_EAC3
      return frame && audioTrack(number, codecId, NONE, frame.sampleRateHz, frame.channels)
    }
    case 'mp3': {
      const frame = parseMpegAudioFrame(data)
      return (
        frame &&
        audioTrack(
          number,
          `${CODEC_MPEG_AUDIO}${frame.layer}`,
          NONE,
          frame.sampleRateHz,
          frame.channels,
        )
      )
    }
    // FLV E.4.2.1: G.711 has 8 kHz, Speex 16 kHz and one channel, whatever the flags say.
    case 'alaw':
    case 'mulaw':
      return waveTrack(number, codec, 8_000, { channels: readSoundFlags(flags).channels, bits: 8 })
    case 'speex':
      return waveTrack(number, codec, 16_000, { channels: 1, bits: 0 })
    case 'pcm': {
      const { sampleRateHz, channels, bitsPerSample } = readSoundFlags(flags)
      const track = audioTrack(number, CODEC_PCM_LITTLE_ENDIAN, NONE, sampleRateHz, channels)
      return { ...track, audio: { sampleRateHz, channels, bitDepth: bitsPerSample } }
    }
    default:
      return null
  }
}

const NONE = new Uint8Array(0)

function waveTrack(
  number: number,
  codec: 'alaw' | 'mulaw' | 'speex',
  sampleRateHz: number,
  { channels, bits }: { readonly channels: number; readonly bits: number },
): Track {
  const tag = WAVE_FORMAT[codec]
  const format = toWaveFormatEx({ tag, channels, sampleRateHz, bitsPerSample: bits })
  return audioTrack(number, CODEC_ACM, format, sampleRateHz, channels)
}

function audioTrack(
  number: number,
  codecId: string,
  codecPrivate: Uint8Array,
  sampleRateHz: number,
  channels: number,
): Track {
  const audio = { sampleRateHz, channels }
  return { number, kind: 'audio', codecId, codecPrivate, timescale: 1000, video: null, audio }
}
