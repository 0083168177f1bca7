import { CODEC_ACM, type Track } from '../../../src/domain/track.ts'
import { toAudioSpecificConfig } from '../../../src/media/aac/audio-specific-config.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../../src/media/pcm/wave-format.ts'
import { AudioDecoder } from '../../../src/platform/av.ts'
import { AAC_FRAME_TICKS, type SoundBlock } from '../../../src/playback/audio/sound-call.ts'
import type { DemuxedPacket } from '../support/demux.ts'

/** Amplitude -1..1 at a time in seconds. */
export type Waveform = (seconds: number) => number

/** A tone of 440 Hz that swells and fades, with its first harmonics: what a voice does. */
export const voice: Waveform = (t) => {
  const envelope = 0.3 + 0.2 * Math.sin(2 * Math.PI * 1.3 * t)
  const tone = [1, 2, 3, 4].reduce((sum, n) => sum + Math.sin(2 * Math.PI * 220 * n * t) / n, 0)
  return (envelope * tone) / 2
}

export const tone: Waveform = (t) => 0.5 * Math.sin(2 * Math.PI * 440 * t)

/** G.711 µ-law (ITU-T G.711), from the segments' definition. */
export function toMulaw(value: number): number {
  const magnitude = Math.min(8158, Math.round(Math.abs(value) * 8192)) + 33
  const segment = Math.max(0, Math.floor(Math.log2(magnitude)) - 5)
  const mantissa = (magnitude >> (segment + 1)) & 15
  return ~((value < 0 ? 0x80 : 0) | (segment << 4) | mantissa) & 0xff
}

/** A sender's packets of 20 ms from `startMs` on, with wall times in whole milliseconds. */
export function packets(
  waveform: Waveform,
  options: { readonly startMs: number; readonly count: number; readonly rateHz?: number },
): readonly SoundBlock[] {
  const { startMs, count, rateHz = 8000 } = options
  const perPacket = rateHz / 50
  return Array.from({ length: count }, (_, i) => ({
    ptsMs: Math.round(startMs + i * 20),
    data: Uint8Array.from({ length: perPacket }, (__, k) =>
      toMulaw(waveform((startMs + i * 20) / 1000 + k / rateHz)),
    ),
  }))
}

/** What a player hears of blocks that follow one another. */
export function decodeAac(blocks: readonly Uint8Array[], sampleRateHz: number): Float32Array {
  using decoder = new AudioDecoder({
    decoder: 'aac',
    sampleRateHz,
    channels: 1,
    bitsPerCodedSample: 0,
    extradata: toAudioSpecificConfig({ objectType: 2, sampleRateHz, channelConfiguration: 1 })!,
  })
  const heard = new Float32Array(blocks.length * AAC_FRAME_TICKS)
  for (const [i, block] of blocks.entries()) {
    const sound = decoder.decode(block)
    if (sound !== null) heard.set(sound.channels[0]!, i * AAC_FRAME_TICKS)
  }
  return heard
}

/** Largest difference from `expected` within each window of 4 ms. */
export function errors(
  heard: Float32Array,
  expected: (index: number) => number,
  window: number,
): readonly number[] {
  const worst: number[] = []
  for (let at = 0; at + window <= heard.length; at += window) {
    let most = 0
    for (let i = at; i < at + window; i++) most = Math.max(most, Math.abs(heard[i]! - expected(i)))
    worst.push(most)
  }
  return worst
}

/** A camera's sound: G.711 µ-law in A_MS/ACM. */
export const mulaw: Track = {
  number: 2,
  kind: 'audio',
  codecId: CODEC_ACM,
  codecPrivate: toWaveFormatEx({
    tag: WAVE_FORMAT.mulaw,
    channels: 1,
    sampleRateHz: 8000,
    bitsPerSample: 8,
  }),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 8000, channels: 1 },
}

/** {@link tone} in that track, in packets of 20 ms. */
export const mulawTone = (startMs: number, count: number): readonly DemuxedPacket[] =>
  packets(tone, { startMs, count }).map(({ ptsMs, data }) => ({
    trackNumber: mulaw.number,
    ptsMs: ptsMs - startMs,
    dtsMs: ptsMs - startMs,
    durationMs: 20,
    isKey: true,
    data,
  }))
