import { MalformedMediaError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import {
  CODEC_AAC,
  CODEC_AC3,
  CODEC_ACM,
  CODEC_AV1,
  CODEC_AVC,
  CODEC_EAC3,
  CODEC_FLAC,
  CODEC_HEVC,
  CODEC_MJPEG,
  CODEC_OPUS,
  CODEC_VP8,
  CODEC_VP9,
  CODEC_VVC,
  type Track,
} from '../domain/track.ts'
import { parseAudioSpecificConfig, toAacCodecString } from '../media/aac/audio-specific-config.ts'
import { parseAvcConfig, toAvcCodecString } from '../media/nal/avc-config.ts'
import { parseHevcConfig, toHevcCodecString } from '../media/nal/hevc-config.ts'
import { parseWaveFormatEx, WAVE_FORMAT } from '../media/pcm/wave-format.ts'
import type { PublisherSnapshot } from './publisher.ts'

/** One publishing session as the API and the console show it. */
export type IngestSession = {
  readonly stream: string
  readonly protocol: IngestProtocol
  /** Address and port. */
  readonly peer: string
  readonly startedAt: EpochMs
  /** `null` where the protocol hides it: TCP repairs loss by itself. */
  readonly transport: TransportFacts | null
  readonly reconnects: Reconnects
} & PublisherSnapshot

/** Pulled ones are named after what we call: `rtsp-pull`. */
export type IngestProtocol =
  'rtmp' | 'rtmps' | 'rtsp' | 'rtsps' | 'rtsp-pull' | 'rtmp-pull' | 'http-flv-pull' | 'put-media'

/** Of a stream's publisher, since the service started or its source was changed. */
export type Reconnects = {
  /** Sessions before this one; of a pull, attempts after the first one, failed ones included. */
  readonly count: number
  /** Why the last attempt before this session ended: a `PullFailure` or `SessionEndReason`. */
  readonly lastReason: string | null
}

/** Of RTP, since the session began; docs/design/ingest.md has the definitions. */
export type TransportFacts = {
  readonly lower: 'tcp' | 'udp'
  readonly packetsReceived: number
  readonly packetsLost: number
  /** RFC 3550 §6.4.1, the largest of the tracks. */
  readonly jitterMs: number
}

export type TrackInfo = {
  readonly kind: Track['kind']
  /** As RFC 6381 writes it, e.g. `avc1.4D401E`. */
  readonly codec: string
  readonly video: Track['video']
  readonly audio: Track['audio']
}

export function toTrackInfo(track: Track): TrackInfo {
  return { kind: track.kind, codec: codecOf(track), video: track.video, audio: track.audio }
}

/** A producer's own header may hold anything: a codec that cannot be read keeps its bare name. */
function codecOf(track: Track): string {
  try {
    return toCodecString(track)
  } catch (error) {
    if (error instanceof MalformedMediaError) return track.codecId
    throw error
  }
}

function toCodecString(track: Track): string {
  switch (track.codecId) {
    case CODEC_AVC:
      return toAvcCodecString(parseAvcConfig(track.codecPrivate))
    case CODEC_HEVC:
      return toHevcCodecString(parseHevcConfig(track.codecPrivate))
    case CODEC_AAC:
      return toAacCodecString(parseAudioSpecificConfig(track.codecPrivate))
    case CODEC_ACM:
      return WAVE_NAMES.get(parseWaveFormatEx(track.codecPrivate)?.tag ?? -1) ?? track.codecId
    default:
      return NAMES.get(track.codecId) ?? track.codecId
  }
}

/** Without their profile; a name that no browser knows is still one that people do. */
const NAMES: ReadonlyMap<string, string> = new Map([
  [CODEC_AV1, 'av01'],
  [CODEC_VP8, 'vp08'],
  [CODEC_VP9, 'vp09'],
  [CODEC_VVC, 'vvc1'],
  [CODEC_MJPEG, 'mjpg'],
  [CODEC_OPUS, 'opus'],
  [CODEC_FLAC, 'fLaC'],
  [CODEC_AC3, 'ac-3'],
  [CODEC_EAC3, 'ec-3'],
])
const WAVE_NAMES: ReadonlyMap<number, string> = new Map([
  [WAVE_FORMAT.alaw, 'alaw'],
  [WAVE_FORMAT.mulaw, 'ulaw'],
  [WAVE_FORMAT.g722, 'g722'],
  [WAVE_FORMAT.g726, 'g726'],
])
