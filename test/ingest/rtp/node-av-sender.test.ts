import { spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import { FormatContext, Packet } from 'node-av/lib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAvcConfig } from '../../../src/media/nal/avc-config.ts'
import { parseHevcConfig } from '../../../src/media/nal/hevc-config.ts'
import { demux, type DemuxedFile, type DemuxedPacket } from '../../playback/support/demux.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { createRandom } from '../../support/fuzz.ts'
import { NOW, openIntake } from './recording-sink.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const HEVC = sharedMedia('vtest_hevc_aac_15s.mp4')

const FILMS: readonly (readonly [rule: string, path: string])[] = [
  ['H.264', FIXTURE],
  ...(HEVC === null ? [] : [['H.265', HEVC] as const]),
]

async function bind(onPacket: (bytes: Uint8Array) => void): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
  onTestFinished(() => void socket.close())
  socket.on('message', onPacket)
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

/** FFmpeg 8's RTP muxer of one stream of a file; waits until the receiver has all of a packet. */
async function send(
  path: string,
  kind: number,
  { port, received }: { port: number; received: () => Promise<void> },
): Promise<void> {
  const input = new FormatContext()
  const output = new FormatContext()
  const packet = new Packet()
  packet.alloc()
  try {
    check(await input.openInput(path))
    check(await input.findStreamInfo())
    const source = input.streams.find(({ codecpar }) => codecpar.codecType === kind)!
    check(output.allocOutputContext2(null, 'rtp', `rtp://127.0.0.1:${port}?rtcpport=${port}`))
    output.strictStdCompliance = FF_COMPLIANCE_EXPERIMENTAL // of AV1
    const target = output.newStream(null)
    source.codecpar.copy(target.codecpar)
    target.codecpar.codecTag = 0
    check(await output.openOutput())
    check(await output.writeHeader(null))
    while ((await input.readFrame(packet)) >= 0) {
      if (packet.streamIndex === source.index) {
        packet.rescaleTs(source.timeBase, target.timeBase)
        packet.streamIndex = target.index
        check(await output.writeFrame(packet))
        await received()
      }
      packet.unref()
    }
    await output.writeTrailer()
    await received()
  } finally {
    packet.free()
    await output.closeOutput()
    output.freeContext()
    await input.closeInput()
  }
}

const FF_COMPLIANCE_EXPERIMENTAL = -2

function check(result: number): void {
  if (result < 0) throw new Error(`FFmpeg error ${result}`)
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

function toSdp({ tracks }: DemuxedFile, kind: 'video' | 'audio'): string {
  const { codecId, codecPrivate, audio } = tracks.find((track) => track.kind === kind)!
  if (codecId === 'V_UNKNOWN') return 'm=video 0 RTP/AVP 96\na=rtpmap:96 AV1/90000\n' // to our demuxer
  if (codecId === 'V_MPEG4/ISO/AVC') {
    const { sps, pps } = parseAvcConfig(codecPrivate)
    const sets = [...sps, ...pps].map(base64).join(',')
    return `m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=${sets}\n`
  }
  if (codecId === 'V_MPEGH/ISO/HEVC') {
    const of = (wanted: number) => {
      const { nalUnits } = parseHevcConfig(codecPrivate)
      return nalUnits.filter(({ type }) => type === wanted).map(({ data }) => base64(data))
    }
    return `m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-vps=${of(32).join()};sprop-sps=${of(33).join()};sprop-pps=${of(34).join()}\n`
  }
  const config = Buffer.from(codecPrivate).toString('hex')
  return `m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/${audio!.sampleRateHz}/${audio!.channels}\na=fmtp:97 mode=AAC-hbr;config=${config}\n`
}

/** All that the muxer sends of one of the file's streams, and what it was. */
async function capture(path: string, kind: 'video' | 'audio') {
  const file = await demux(path)
  const sent: { readonly isRtcp: boolean; readonly bytes: Uint8Array }[] = []
  let onEmpty: (() => void) | null = null
  const socket = await bind((bytes) => {
    if (bytes.length === 0) return onEmpty?.()
    sent.push({ isRtcp: bytes[1]! >= 200 && bytes[1]! <= 207, bytes: Uint8Array.from(bytes) })
  })
  const { port } = socket.address()
  // An empty datagram of our own comes out behind all that was sent before it.
  const received = async () => {
    const read = new Promise<void>((resolve) => (onEmpty = resolve))
    socket.send(new Uint8Array(0), port, '127.0.0.1')
    await read
    await nextTurn()
  }
  await send(path, kind === 'video' ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO, { port, received })
  expect(sent.length).toBeGreaterThan(0)
  const { number } = file.tracks.find((track) => track.kind === kind)!
  const packets = file.packets.filter(({ trackNumber }) => trackNumber === number)
  return { sdp: toSdp(file, kind), sent, packets }
}

async function takeIn(path: string, kind: 'video' | 'audio') {
  const { sdp, sent, packets } = await capture(path, kind)
  const { sink, intake } = openIntake(sdp, { isReliable: false })
  for (const { isRtcp, bytes } of sent) {
    if (isRtcp) intake.rtcp(0, bytes, NOW)
    else intake.rtp(0, bytes, NOW)
  }
  intake.flush()
  return { sink, intake, packets }
}

/** Bytes, times in ticks of the track, keys. */
const seen = (samples: readonly { pts: number; isKey: boolean; data: Uint8Array }[]) =>
  samples.map(({ pts, isKey, data }) => ({ pts: pts - samples[0]!.pts, isKey, bytes: data.length }))
const expected = (packets: readonly DemuxedPacket[], ticksPerMs: number) =>
  packets.map(({ ptsMs, isKey, data }) => ({
    pts: Math.round((ptsMs - packets[0]!.ptsMs) * ticksPerMs),
    isKey,
    bytes: data.length,
  }))

describe("what FFmpeg 8's RTP muxer sends", () => {
  test.each(FILMS)('%s', async (_rule, path) => {
    const { sink, intake, packets } = await takeIn(path, 'video')

    expect(intake.stats()[0]).toMatchObject({ lost: 0, malformed: 0, refused: 0 })
    expect([...sink.drops]).toEqual([])
    expect(seen(sink.samples)).toEqual(expected(packets, 90))
    expect(sink.samples.every(({ data }, i) => Buffer.compare(data, packets[i]!.data) === 0)).toBe(
      true,
    )
    expect(sink.samples.every(({ pts, dts }) => dts <= pts)).toBe(true)
    expect(sink.samples.every(({ dts }, i) => i === 0 || dts > sink.samples[i - 1]!.dts)).toBe(true)
    expect(intake.keyFrames).toBe(packets.filter(({ isKey }) => isKey).length)
    expect(sink.clocks.length).toBeGreaterThan(0)
  })

  test.each(FILMS)(
    '%s through a line that loses, doubles and swaps one packet in twenty each',
    async (_rule, path) => {
      const { sdp, sent, packets } = await capture(path, 'video')
      const random = createRandom(5)
      const line: Uint8Array[] = []
      let lost = 0
      let doubled = 0
      const rtp = sent.filter(({ isRtcp }) => !isRtcp).map(({ bytes }) => bytes)
      for (const [i, bytes] of rtp.entries()) {
        const isEnd = i < 2 || i === rtp.length - 1 // what is lost before the first or behind the last nobody sees
        const luck = isEnd ? 1 : random()
        if (luck < 0.05) lost++
        else line.push(bytes)
        if (luck > 0.05 && luck < 0.1) {
          line.push(bytes)
          doubled++
        }
        const last = line.length - 1
        if (luck > 0.1 && luck < 0.15 && last > 2) {
          ;[line[last], line[last - 1]] = [line[last - 1]!, line[last]!]
        }
      }
      const { sink, intake } = openIntake(sdp, { isReliable: false })
      for (const bytes of line) intake.rtp(0, bytes, NOW)
      intake.flush()

      expect(intake.stats()[0]).toMatchObject({ lost, duplicates: doubled, malformed: 0 })
      // What is given out is as it was, at its time; a lost packet takes two pictures at most.
      const start = Buffer.from(rtp[0]!).readUInt32BE(4) // the first picture's, be it lost
      const film = new Map(expected(packets, 90).map(({ pts }, i) => [pts, packets[i]!]))
      for (const { pts, isKey, data } of sink.samples) {
        const original = film.get(pts - start)!
        expect(isKey).toBe(original.isKey)
        expect(Buffer.compare(data, original.data)).toBe(0)
      }
      const missing = packets.length - sink.samples.length
      expect(missing).toBeGreaterThan(0)
      expect(missing).toBeLessThanOrEqual(2 * lost)
      expect([...sink.drops.keys()]).toEqual(['packet-loss'])
      expect(sink.samples.every(({ pts, dts }) => dts <= pts)).toBe(true)
    },
  )

  test.skipIf(!isInstalled('ffmpeg', '-version'))('AV1', async () => {
    const path = join(await scratchDirectory(), 'film.mkv')
    const source = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25:duration=1.2']
    const coding = ['-pix_fmt', 'yuv420p', '-c:v', 'libsvtav1', '-preset', '12', '-g', '10']
    const made = spawnSync('ffmpeg', ['-loglevel', 'error', '-y', ...source, ...coding, path])
    expect(made.status).toBe(0)
    const { sink, intake, packets } = await takeIn(path, 'video')

    expect(intake.stats()[0]).toMatchObject({ lost: 0, malformed: 0, refused: 0 })
    expect([...sink.drops]).toEqual([])
    expect(seen(sink.samples).map(({ isKey, bytes }) => [isKey, bytes])).toEqual(
      packets.map(({ isKey, data }) => [isKey, data.length]),
    )
    expect(sink.samples.every(({ data }, i) => Buffer.compare(data, packets[i]!.data) === 0)).toBe(
      true,
    )
    const [track] = sink.tracks
    expect(track).toMatchObject({ codecId: 'V_AV1', video: { widthPx: 320, heightPx: 240 } })
    const expectedPrivate = (await demux(path)).tracks[0]!.codecPrivate
    const privateData = Buffer.from(track!.codecPrivate)
    expect(privateData.subarray(0, 4)).toEqual(Buffer.from(expectedPrivate).subarray(0, 4))
    // SVT-AV1 announces another sequence header than it sends; the one that is sent counts.
    const sequence = privateData.subarray(4)
    expect(sequence).toEqual(Buffer.from(sink.samples[0]!.data).subarray(0, sequence.length))
  })

  test('AAC', async () => {
    const { sink, intake, packets } = await takeIn(FIXTURE, 'audio')

    expect(intake.stats()[0]).toMatchObject({ lost: 0, malformed: 0, refused: 0 })
    // The muxer keeps what is not a full packet at the end to itself.
    expect(packets.length - sink.samples.length).toBeLessThan(10)
    const sent = packets.slice(0, sink.samples.length)
    expect(sink.samples.every(({ data }, i) => Buffer.compare(data, sent[i]!.data) === 0)).toBe(
      true,
    )
    const steps = sink.samples.slice(1).map(({ pts }, i) => pts - sink.samples[i]!.pts)
    expect(new Set(steps)).toEqual(new Set([1024]))
  })
})
