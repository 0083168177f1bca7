import { AV_LOG_ERROR } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, FormatContext, Frame, Log, Packet } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'

/**
 * Opens a file or URL (HLS included) with FFmpeg and decodes its first video track: an independent
 * viewer for the demo's check and for tests. Not for the service's own paths: a network read holds a
 * thread of the pool.
 *
 * @returns frames that came out, with their presentation times in milliseconds
 */
export async function decodeUrl(
  url: string,
  signal: AbortSignal,
): Promise<{
  readonly videoFrames: number
  readonly timesMs: readonly number[]
  readonly audioPackets: number
  readonly widthPx: number
  readonly heightPx: number
}> {
  Log.setLevel(AV_LOG_ERROR) // it tells of every segment otherwise
  const input = new FormatContext()
  const decoder = new CodecContext()
  const packet = new Packet()
  const frame = new Frame()
  packet.alloc()
  frame.alloc()
  try {
    check(await input.openInput(url), 'open')
    check(await input.findStreamInfo(), 'probe')
    const video = input.streams.find(({ codecpar }) => (codecpar.codecType as number) === 0)
    if (video === undefined) {
      throw new ServiceError(
        'malformed-media',
        'NoVideoTrack',
        `There is no video track in ${url}.`,
      )
    }
    const codec = Codec.findDecoder(video.codecpar.codecId)
    decoder.allocContext3(codec)
    decoder.parametersToContext(video.codecpar)
    decoder.threadCount = 1
    check(await decoder.open2(codec), 'open the decoder')
    const toMs = (Number(video.timeBase.num) / Number(video.timeBase.den)) * 1000
    const timesMs: number[] = []
    let audioPackets = 0

    const drain = async () => {
      while ((await decoder.receiveFrame(frame)) >= 0) {
        timesMs.push(Number(frame.bestEffortTimestamp) * toMs)
        frame.unref()
      }
    }
    while ((await input.readFrame(packet)) >= 0) {
      signal.throwIfAborted()
      if (packet.streamIndex === video.index) {
        check(await decoder.sendPacket(packet), 'decode')
        await drain()
      } else {
        audioPackets += 1
      }
      packet.unref()
    }
    await decoder.sendPacket(null)
    await drain()
    const { width: widthPx, height: heightPx } = decoder
    return { videoFrames: timesMs.length, timesMs, audioPackets, widthPx, heightPx }
  } finally {
    packet.free()
    frame.free()
    decoder.freeContext()
    await input.closeInput()
  }
}

function check(ret: number, what: string): void {
  if (ret >= 0) return
  throw new ServiceError(
    'malformed-media',
    'DecodeFailed',
    `Could not ${what}: ${FFmpegError.strerror(ret)}.`,
  )
}
