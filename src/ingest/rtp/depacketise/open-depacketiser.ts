import type { Track } from '../../../domain/track.ts'
import type { MediaDescription } from '../../sdp/parse-sdp.ts'
import type { PayloadFormat } from '../../sdp/payload-format.ts'
import { AacDepacketiser } from './aac.ts'
import {
  toG711Format,
  toG722Format,
  toG726Format,
  toHighBitsFirst,
  toLinearFormat,
  toOpusFormat,
} from './audio-formats.ts'
import { AudioFrames } from './audio-frames.ts'
import { Av1Depacketiser } from './av1.ts'
import type { Depacketiser, UnitSink } from './depacketiser.ts'
import { DocumentDepacketiser } from './documents.ts'
import { H264Codec } from './h264.ts'
import { H265Codec } from './h265.ts'
import { JpegDepacketiser } from './jpeg.ts'
import { LatmDepacketiser } from './latm.ts'
import { NalDepacketiser } from './nal-depacketiser.ts'
import { VP8, VP9, VpxDepacketiser } from './vpx.ts'
import { WholePackets } from './whole-packets.ts'

type Opening = {
  readonly kind: Track['kind']
  readonly open: (
    sink: UnitSink,
    format: PayloadFormat,
    media: Pick<MediaDescription, 'dimensions'>,
  ) => Depacketiser
}

/** What kind of track a payload format becomes. */
export function kindOfFormat(format: PayloadFormat): Track['kind'] {
  return openingOf(format).kind
}

/** A depacketiser for a payload format; formats that nobody here knows are stored as they are. */
export function openDepacketiser(
  sink: UnitSink,
  format: PayloadFormat,
  media: Pick<MediaDescription, 'dimensions'>,
): Depacketiser {
  return openingOf(format).open(sink, format, media)
}

function openingOf(format: PayloadFormat): Opening {
  const { encoding } = format
  const [, aal2, bits] = /^(AAL2-)?G726-(16|24|32|40)$/.exec(encoding) ?? []
  if (bits !== undefined) return g726(Number(bits) / 8, aal2 !== undefined)
  if (encoding.startsWith('VND.ONVIF.METADATA')) return ONVIF
  // RFC 3640 carries other codecs than AAC too; their modes say so.
  const mode = format.formatParameters.get('mode')?.toLowerCase() ?? 'aac-hbr'
  if (encoding === 'MPEG4-GENERIC' && !mode.startsWith('aac')) return OTHER
  return OPENINGS.get(encoding) ?? OTHER
}

const OTHER: Opening = { kind: 'data', open: (sink, format) => new WholePackets(sink, format) }

const ONVIF: Opening = {
  kind: 'data',
  open: (sink, { encoding }) => new DocumentDepacketiser(sink, encoding),
}

const H265: Opening = {
  kind: 'video',
  open: (sink, format) => new NalDepacketiser(sink, new H265Codec(format)),
}

const OPENINGS = new Map<string, Opening>([
  [
    'H264',
    { kind: 'video', open: (sink, format) => new NalDepacketiser(sink, new H264Codec(format)) },
  ],
  ['H265', H265],
  ['HEVC', H265],
  ['AV1', { kind: 'video', open: (sink) => new Av1Depacketiser(sink) }],
  ['VP8', { kind: 'video', open: (sink) => new VpxDepacketiser(sink, VP8) }],
  ['VP9', { kind: 'video', open: (sink) => new VpxDepacketiser(sink, VP9) }],
  ['JPEG', { kind: 'video', open: (sink, _format, media) => new JpegDepacketiser(sink, media) }],
  ['MPEG4-GENERIC', { kind: 'audio', open: (sink, format) => new AacDepacketiser(sink, format) }],
  ['MP4A-LATM', { kind: 'audio', open: (sink, format) => new LatmDepacketiser(sink, format) }],
  ['PCMA', frames((format) => toG711Format(format, 'alaw'))],
  ['PCMU', frames((format) => toG711Format(format, 'mulaw'))],
  ['G722', frames(toG722Format)],
  ['OPUS', frames(toOpusFormat)],
  ['L8', frames((format) => toLinearFormat(format, 8))],
  ['L16', frames((format) => toLinearFormat(format, 16))],
  ['L24', frames((format) => toLinearFormat(format, 24))],
])

function frames(toFormat: (format: PayloadFormat) => ReturnType<typeof toOpusFormat>): Opening {
  return { kind: 'audio', open: (sink, format) => new AudioFrames(sink, toFormat(format)) }
}

function g726(bitsPerSample: number, isHighBitsFirst: boolean): Opening {
  return {
    kind: 'audio',
    open: (sink, format) =>
      isHighBitsFirst
        ? new AudioFrames(sink, toG726Format(format, bitsPerSample))
        : new AudioFrames(sink, toG726Format(format, bitsPerSample), (payload) =>
            toHighBitsFirst(payload, bitsPerSample),
          ),
  }
}
