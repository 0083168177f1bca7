import { AV_LOG_ERROR, AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import { FormatContext, Log, Packet, type Stream } from 'node-av/lib'
import { CODEC_AAC, CODEC_AVC, CODEC_HEVC, type Track } from '../../../src/domain/track.ts'

/** A file or an HLS URL as FFmpeg's demuxers give it: our tracks, packets in decode order. */
export type DemuxedFile = {
  readonly tracks: readonly Track[]
  readonly packets: readonly DemuxedPacket[]
}

export type DemuxedPacket = {
  readonly trackNumber: number
  /** Milliseconds from the file's start, not rounded. */
  readonly ptsMs: number
  readonly dtsMs: number
  readonly durationMs: number
  readonly isKey: boolean
  readonly data: Uint8Array
}

export async function demux(path: string): Promise<DemuxedFile> {
  Log.setLevel(AV_LOG_ERROR)
  const input = new FormatContext()
  check(await input.openInput(path))
  try {
    check(await input.findStreamInfo())
    const streams = (input.streams ?? []).filter(isAudioOrVideo)
    const tracks = streams.map(toTrack)
    const numbers = new Map(streams.map((stream, i) => [stream.index, tracks[i]!.number]))
    return { tracks, packets: await readPackets(input, streams, numbers) }
  } finally {
    await input.closeInput()
  }
}

async function readPackets(
  input: FormatContext,
  streams: readonly Stream[],
  numbers: ReadonlyMap<number, number>,
): Promise<readonly DemuxedPacket[]> {
  const packets: DemuxedPacket[] = []
  const packet = new Packet()
  packet.alloc()
  while ((await input.readFrame(packet)) >= 0) {
    const stream = streams.find(({ index }) => index === packet.streamIndex)
    if (stream !== undefined) {
      const { num, den } = stream.timeBase
      const toMs = (ticks: bigint) => ((Number(ticks) * num) / den) * 1000 // exact at wall times
      packets.push({
        trackNumber: numbers.get(stream.index)!,
        dtsMs: toMs(packet.dts),
        ptsMs: toMs(packet.pts),
        durationMs: toMs(packet.duration),
        isKey: packet.isKeyframe,
        data: Uint8Array.from(packet.data!),
      })
    }
    packet.unref()
  }
  packet.free()
  return packets
}

const AV_CODEC_ID_H264 = 27
const AV_CODEC_ID_HEVC = 173

function isAudioOrVideo({ codecpar }: Stream): boolean {
  return [AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO].some((type) => type === codecpar.codecType)
}

function toTrack({ codecpar }: Stream, index: number): Track {
  const common = {
    number: index + 1,
    timescale: 1000,
    codecPrivate: Uint8Array.from(codecpar.extradata ?? []),
  }
  if (codecpar.codecType === AVMEDIA_TYPE_AUDIO) {
    const { sampleRate, channels } = codecpar
    const audio = { sampleRateHz: sampleRate, channels }
    return { ...common, kind: 'audio', codecId: CODEC_AAC, video: null, audio }
  }
  const codecs = new Map<number, string>([
    [AV_CODEC_ID_H264, CODEC_AVC],
    [AV_CODEC_ID_HEVC, CODEC_HEVC],
  ])
  const video = { widthPx: codecpar.width, heightPx: codecpar.height }
  const codecId = codecs.get(codecpar.codecId) ?? 'V_UNKNOWN'
  return { ...common, kind: 'video', codecId, video, audio: null }
}

function check(code: number): void {
  if (code < 0) throw new Error(`FFmpeg error ${code}`)
}
