// rtmp-publish.mjs FILE URL [--realtime] [--loop N]: publishes a file over RTMP with FFmpeg's own
// FLV muxer and client, coded samples as they are. Needs no build: tests run it as a process.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Dictionary, FFmpegError, FormatContext, Packet } from 'node-av/lib'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    realtime: { type: 'boolean', default: false },
    loop: { type: 'string', default: '1' },
  },
})
const [file, url] = positionals

const check = (ret, what) => {
  if (ret < 0) throw new Error(`could not ${what}: ${FFmpegError.strerror(ret)}`)
}

const input = new FormatContext()
const output = new FormatContext()
const packet = new Packet()
packet.alloc()
check(await input.openInput(file), `open ${file}`)
check(await input.findStreamInfo(), 'read the file')
check(output.allocOutputContext2(null, 'flv', url), 'make the muxer')
const pairs = input.streams.map((source) => {
  const target = output.newStream(null)
  source.codecpar.copy(target.codecpar)
  target.codecpar.codecTag = 0
  return { source, target }
})
check(await output.openOutput(), 'connect')
const live = Dictionary.fromObject({ flvflags: 'no_duration_filesize' })
check(await output.writeHeader(live), 'start to publish')

const startedAt = Date.now()
const roundMs = Number(input.duration) / 1000
for (let round = 0; round < Number(values.loop); round++) {
  if (round > 0) check(await input.seekFrame(-1, 0n), 'rewind')
  while ((await input.readFrame(packet)) >= 0) {
    const { source, target } = pairs[packet.streamIndex]
    packet.rescaleTs(source.timeBase, target.timeBase)
    packet.pts += BigInt(Math.round(round * roundMs))
    packet.dts += BigInt(Math.round(round * roundMs))
    if (values.realtime) await delay(startedAt + Number(packet.dts) - Date.now())
    packet.streamIndex = target.index
    check(await output.interleavedWriteFrame(packet), 'send')
    packet.unref()
  }
}
check(await output.writeTrailer(), 'finish')
await output.closeOutput()
await input.closeInput()
