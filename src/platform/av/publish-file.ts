import { Dictionary, FFmpegError, FormatContext, Packet } from 'node-av/lib'
import { ServiceError } from '../../domain/errors.ts'
import type { Clock } from '../clock.ts'

/**
 * Publishes a media file over RTMP with FFmpeg's own demuxer, FLV muxer and RTMP client, coded
 * samples as they are: a camera for the demo and for tests that is not of our making.
 *
 * Ends at the end of the file, after `maxSeconds` of media, or when the signal aborts (then the
 * connection is closed in order and the signal's reason is thrown).
 */
export async function publishFile(
  options: PublishOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly samples: number; readonly seconds: number }> {
  const input = new FormatContext()
  const output = new FormatContext()
  const packet = new Packet()
  packet.alloc()
  try {
    check(await input.openInput(options.path), `open ${options.path}`)
    check(await input.findStreamInfo(), `read ${options.path}`)
    const streams = input.streams.filter(({ codecpar }) => AUDIO_OR_VIDEO.has(codecpar.codecType))
    check(output.allocOutputContext2(null, 'flv', options.url), 'make the FLV muxer')
    const outputs = new Map(
      streams.map((source) => {
        const target = output.newStream(null)
        source.codecpar.copy(target.codecpar)
        target.codecpar.codecTag = 0 // the container's own tag, not the source file's
        return [source.index, { source, target }]
      }),
    )
    check(await output.openOutput(), 'connect')
    // A live peer cannot go back to fill in the duration.
    const live = Dictionary.fromObject({ flvflags: 'no_duration_filesize' })
    check(await output.writeHeader(live), 'start to publish')

    const startedAt = clock.now()
    let round = 0
    let samples = 0
    let seconds = 0
    let loopStart = 0 // seconds of media sent in the rounds before this one
    let firstDts: number | null = null
    for (;;) {
      signal.throwIfAborted()
      const ret = await input.readFrame(packet)
      if (ret < 0) {
        round += 1
        if (round >= options.rounds) break
        loopStart = seconds
        check(await input.seekFrame(-1, 0n), 'rewind')
        firstDts = null
        continue
      }
      const pair = outputs.get(packet.streamIndex)
      if (pair !== undefined) {
        const { source, target } = pair
        const toSeconds = Number(source.timeBase.num) / Number(source.timeBase.den)
        firstDts ??= Number(packet.dts) * toSeconds
        const shift = BigInt(Math.round((loopStart - firstDts) / toSeconds))
        packet.pts += shift
        packet.dts += shift
        const dueSeconds = Number(packet.dts) * toSeconds
        if (dueSeconds >= options.maxSeconds) break
        if (options.realtime) {
          const waitMs = startedAt + dueSeconds * 1000 - clock.now()
          if (waitMs > 1) await clock.sleep(waitMs, signal)
        }
        seconds = Math.max(seconds, dueSeconds + Number(packet.duration) * toSeconds)
        packet.rescaleTs(source.timeBase, target.timeBase)
        packet.streamIndex = target.index
        check(await output.writeFrame(packet), 'send')
        samples += 1
      }
      packet.unref()
    }
    await output.writeTrailer()
    return { samples, seconds }
  } finally {
    packet.free()
    await output.closeOutput()
    output.freeContext()
    await input.closeInput()
  }
}

export type PublishOptions = {
  readonly path: string
  /** rtmp://host:port/app/stream?key=... */
  readonly url: string
  /** Times to play the file, with timestamps that go on; Infinity for ever. */
  readonly rounds: number
  /** Send each sample when its time has come, not as fast as the peer takes it. */
  readonly realtime: boolean
  /** Of media; Infinity for no limit. */
  readonly maxSeconds: number
}

/** AVMEDIA_TYPE_VIDEO and AVMEDIA_TYPE_AUDIO. */
const AUDIO_OR_VIDEO = new Set<number>([0, 1])

/** Never names the URL: it carries the publish key. */
function check(ret: number, what: string): void {
  if (ret >= 0) return
  throw new ServiceError(
    'unavailable',
    'PublishFailed',
    `Could not ${what}: ${FFmpegError.strerror(ret)}.`,
  )
}
