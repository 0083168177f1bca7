import {
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  AV_LOG_QUIET,
} from 'node-av/constants'
import { Dictionary, FFmpegError, FormatContext, IOContext, Log, Packet } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'

export type RemuxOptions = {
  readonly path: string
  /** Waits until media of so many seconds from the start may go on. */
  readonly pace?: (seconds: number) => Promise<void>
}

const IO_BUFFER_BYTES = 64 * 1024
/** A Cluster then begins with each key frame, or after so long without one. */
const CLUSTER_TIME_LIMIT_MS = 30_000
const CLUSTER_SIZE_LIMIT_BYTES = 40 * 1024 * 1024

/**
 * A media file of any container as a live Matroska stream, coded samples as they are: FFmpeg's demuxer
 * and muxer. The first sample is at 0; a Cluster begins with each key frame. As much is read as is
 * taken.
 *
 * @throws ServiceError `malformed-media`/`UnreadableMediaFile`
 */
export async function* remuxToMatroska({
  path,
  pace,
}: RemuxOptions): AsyncGenerator<Uint8Array, void, undefined> {
  Log.setLevel(AV_LOG_QUIET)
  const input = new FormatContext()
  const output = new FormatContext()
  const io = new IOContext()
  const packet = new Packet()
  packet.alloc()
  const written: Buffer[] = []
  const check = (result: number) => {
    if (result < 0) throw unreadable(path, FFmpegError.strerror(result))
  }
  try {
    check(await input.openInput(path))
    check(await input.findStreamInfo())
    check(output.allocOutputContext2(null, 'matroska', null))
    const outputs = new Map(
      (input.streams ?? [])
        .filter(({ codecpar }) => AUDIO_OR_VIDEO.has(codecpar.codecType))
        .map((source) => {
          const target = output.newStream(null)
          source.codecpar.copy(target.codecpar)
          target.codecpar.codecTag = 0 // the container's own tag, not the source file's
          return [source.index, { source, target }]
        }),
    )
    if (outputs.size === 0) throw unreadable(path, 'it has neither video nor audio')
    io.allocContextWithCallbacks(IO_BUFFER_BYTES, 1, null, (bytes) => {
      written.push(Buffer.from(bytes)) // FFmpeg writes on into its own
      return bytes.length
    })
    output.pb = io
    check(
      await output.writeHeader(
        Dictionary.fromObject({
          live: '1',
          cluster_time_limit: String(CLUSTER_TIME_LIMIT_MS),
          cluster_size_limit: String(CLUSTER_SIZE_LIMIT_BYTES),
        }),
      ),
    )
    let firstSeconds: number | null = null
    for (;;) {
      yield* written.splice(0)
      const result = await input.readFrame(packet)
      if (result === AVERROR_EOF) break
      check(result)
      const pair = outputs.get(packet.streamIndex)
      if (pair !== undefined) {
        const { source, target } = pair
        const unitSeconds = source.timeBase.num / source.timeBase.den
        firstSeconds ??= Number(packet.dts) * unitSeconds
        const shift = BigInt(Math.round(firstSeconds / unitSeconds))
        packet.pts -= shift
        packet.dts -= shift
        await pace?.(Number(packet.dts) * unitSeconds)
        packet.rescaleTs(source.timeBase, target.timeBase)
        packet.streamIndex = target.index
        check(await output.interleavedWriteFrame(packet))
      }
      packet.unref()
    }
    check(await output.writeTrailer())
    await io.flush()
    yield* written
  } finally {
    packet.free()
    output.pb = null
    io.freeContext()
    output.freeContext()
    await input.closeInput()
  }
}

const AUDIO_OR_VIDEO = new Set<number>([AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO])

function unreadable(path: string, why: string): ServiceError {
  return new ServiceError('malformed-media', 'UnreadableMediaFile', `Cannot read ${path}: ${why}.`)
}
