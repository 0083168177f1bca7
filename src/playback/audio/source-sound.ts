import {
  CODEC_AAC,
  CODEC_AC3,
  CODEC_ACM,
  CODEC_EAC3,
  CODEC_FLAC,
  CODEC_MPEG_AUDIO,
  CODEC_OPUS,
  CODEC_PCM_BIG_ENDIAN,
  CODEC_PCM_LITTLE_ENDIAN,
  type Track,
} from '../../domain/track.ts'
import { toAudioSpecificConfig } from '../../media/aac/audio-specific-config.ts'
import { parseWaveFormatEx, WAVE_FORMAT } from '../../media/pcm/wave-format.ts'
import type { AudioSource } from '../../platform/av.ts'

/**
 * The tracks of a stored header as players get them: where no sound is AAC, the first that can be
 * decoded is described as the AAC that it is transcoded to, under its own number. Playlists and
 * initialization segments are made of this, media of `PlayableAudio.read`.
 */
export function toPlayedTracks(tracks: readonly Track[]): readonly Track[] {
  const chosen = transcodedOf(tracks)
  return chosen === null ? tracks : tracks.map((track) => (track === chosen ? toAac(track) : track))
}

/** The track that is transcoded; `null`: none needs to be, or none can be. */
export function transcodedOf(tracks: readonly Track[]): Track | null {
  const sounds = tracks.filter(({ kind }) => kind === 'audio')
  if (sounds.some(({ codecId }) => codecId === CODEC_AAC || codecId.startsWith(`${CODEC_AAC}/`))) {
    return null
  }
  return sounds.find((track) => toAudioSource(track) !== null) ?? null
}

/**
 * Of AAC: its own where that is a rate of AAC from 16 kHz on, else a multiple. A frame of 8 kHz would last
 * an eighth of a second, and the sound of a fragment ends up to four frames before its pictures.
 */
export function toAacSampleRate(sampleRateHz: number): number {
  const whole = AAC_RATES.find((rate) => rate >= sampleRateHz && rate % sampleRateHz === 0)
  return whole ?? AAC_RATES.find((rate) => rate >= sampleRateHz) ?? 48_000
}

const AAC_RATES = [16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
const MAX_RATE_HZ = 192_000

/** How a track is decoded; `null` when it is not, or has more than two channels. */
export function toAudioSource(track: Track): AudioSource | null {
  const { audio } = track
  if (audio === null || !(audio.channels === 1 || audio.channels === 2)) return null
  const { sampleRateHz, channels } = audio
  if (!Number.isInteger(sampleRateHz) || sampleRateHz < 4000 || sampleRateHz > MAX_RATE_HZ) {
    return null
  }
  const found = toDecoder(track)
  return found === null ? null : { ...found, sampleRateHz, channels }
}

type Decoder = Pick<AudioSource, 'decoder' | 'bitsPerCodedSample' | 'extradata'>

function toDecoder(track: Track): Decoder | null {
  const { codecId, codecPrivate: extradata } = track
  if (codecId === CODEC_ACM) return toWaveDecoder(extradata)
  if (codecId === CODEC_PCM_BIG_ENDIAN || codecId === CODEC_PCM_LITTLE_ENDIAN) {
    return toPcmDecoder(codecId, track.audio?.bitDepth ?? 16)
  }
  // Layers are told by their number behind the ID; FFmpeg reads all with one decoder.
  const decoder = codecId.startsWith(CODEC_MPEG_AUDIO) ? 'mp3float' : DECODERS[codecId]
  return decoder === undefined ? null : { decoder, bitsPerCodedSample: 0, extradata }
}

const DECODERS: Readonly<Record<string, string>> = {
  [CODEC_OPUS]: 'opus',
  [CODEC_FLAC]: 'flac',
  [CODEC_AC3]: 'ac3',
  [CODEC_EAC3]: 'eac3',
}
const WAVE_DECODERS = new Map<number, string>([
  [WAVE_FORMAT.alaw, 'pcm_alaw'],
  [WAVE_FORMAT.mulaw, 'pcm_mulaw'],
  [WAVE_FORMAT.g722, 'g722'],
  [WAVE_FORMAT.g726, 'g726'],
])
const NONE = new Uint8Array(0)

function toWaveDecoder(record: Uint8Array): Decoder | null {
  const format = parseWaveFormatEx(record)
  const decoder = format === null ? undefined : WAVE_DECODERS.get(format.tag)
  if (format === null || decoder === undefined) return null
  return { decoder, bitsPerCodedSample: format.bitsPerSample, extradata: NONE }
}

function toPcmDecoder(codecId: string, bitDepth: number): Decoder | null {
  const order = codecId === CODEC_PCM_BIG_ENDIAN ? 'be' : 'le'
  if (bitDepth === 8) return { decoder: 'pcm_u8', bitsPerCodedSample: 8, extradata: NONE }
  if (![16, 24, 32].includes(bitDepth)) return null
  return { decoder: `pcm_s${bitDepth}${order}`, bitsPerCodedSample: bitDepth, extradata: NONE }
}

/** The AAC that a track is transcoded to, under its number. */
export function toAac(track: Track): Track {
  const { sampleRateHz, channels } = track.audio!
  const aacRateHz = toAacSampleRate(sampleRateHz)
  return {
    number: track.number,
    kind: 'audio',
    codecId: CODEC_AAC,
    codecPrivate: toAudioSpecificConfig({
      objectType: 2,
      sampleRateHz: aacRateHz,
      channelConfiguration: channels,
    })!,
    timescale: 1000,
    video: null,
    audio: { sampleRateHz: aacRateHz, channels },
  }
}
