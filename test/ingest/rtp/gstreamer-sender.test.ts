import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lengthPrefixedNalUnits } from '../../../src/media/nal/nal-units.ts'
import { demux } from '../../playback/support/demux.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { NOW, openIntake } from './recording-sink.ts'

const PICTURES =
  'videotestsrc num-buffers=30 pattern=smpte ! video/x-raw,format=I420,width=320,height=240,framerate=25/1'
const SOUND =
  'audiotestsrc num-buffers=40 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! audioconvert'
const AVC = 'video/x-h264,stream-format=avc,alignment=au'
const HEVC = 'video/x-h265,stream-format=hvc1,alignment=au'

/** Encoder, and the payloader with its options. */
const CASES: readonly (readonly [rule: string, encode: string, pay: string])[] = [
  [
    'H.264, parameter sets before each key picture',
    `${PICTURES} ! x264enc bframes=2 key-int-max=10 aud=false ! ${AVC}`,
    'rtph264pay config-interval=-1',
  ],
  [
    'H.264, STAP-A',
    `${PICTURES} ! x264enc bframes=0 key-int-max=10 aud=false sliced-threads=true ! ${AVC}`,
    'rtph264pay config-interval=-1 aggregate-mode=zero-latency',
  ],
  [
    'H.265, aggregation packets',
    `${PICTURES} ! x265enc key-int-max=10 speed-preset=ultrafast log-level=0 ! h265parse ! ${HEVC}`,
    'rtph265pay config-interval=-1 aggregate-mode=zero-latency',
  ],
  ['VP8', `${PICTURES} ! vp8enc deadline=1 keyframe-max-dist=10`, 'rtpvp8pay picture-id-mode=2'],
  ['VP9', `${PICTURES} ! vp9enc deadline=1 keyframe-max-dist=10`, 'rtpvp9pay picture-id-mode=2'],
  ['JPEG', `${PICTURES} ! jpegenc`, 'rtpjpegpay'],
  ['AAC', `${SOUND} ! avenc_aac`, 'rtpmp4gpay'],
  ['AAC as LATM', `${SOUND} ! avenc_aac`, 'rtpmp4apay'],
  ['Opus', `${SOUND} ! opusenc`, 'rtpopuspay'],
  ['G.711', `${SOUND} ! audioresample ! audio/x-raw,rate=8000,channels=1 ! alawenc`, 'rtppcmapay'],
  ['L16', `${SOUND} ! audio/x-raw,format=S16BE`, 'rtpL16pay'],
]

const run = promisify(execFile)

/** Sends through the payloader and keeps what went into it in a Matroska file beside. */
async function send(encode: string, pay: string) {
  const path = join(await scratchDirectory(), 'sent.mkv')
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
  onTestFinished(() => void socket.close())
  const packets: Uint8Array[] = []
  let onEnd: (() => void) | null = null
  socket.on('message', (bytes) => (bytes.length > 0 ? packets.push(bytes) : onEnd?.()))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  const pipeline =
    `${encode} ! tee name=t t. ! queue ! matroskamux ! filesink location=${path} ` +
    `t. ! queue ! ${pay} name=pay mtu=900 ! udpsink host=127.0.0.1 port=${port} sync=true`
  await run('gst-launch-1.0', ['-q', ...pipeline.split(' ')], {
    timeout: 20_000,
  })
  const ended = new Promise<void>((resolve) => (onEnd = resolve))
  socket.send(new Uint8Array(0), port, '127.0.0.1') // comes out behind all that was sent before
  await ended
  return { path, packets }
}

/** As we keep them: without the parameter sets that the track's header has. */
function withoutParameterSets(codecId: string, data: Uint8Array): Uint8Array {
  const isSet: Record<string, (header: number) => boolean> = {
    'V_MPEG4/ISO/AVC': (header) => [7, 8].includes(header & 0x1f),
    'V_MPEGH/ISO/HEVC': (header) => [32, 33, 34].includes((header >> 1) & 0x3f),
  }
  const leavesOut = isSet[codecId]
  if (leavesOut === undefined) return data
  const kept = [...lengthPrefixedNalUnits(data, 4)].filter(({ start }) => !leavesOut(data[start]!))
  return Buffer.concat(kept.map(({ start, end }) => data.subarray(start - 4, end)))
}

/** By payloader: what its caps say, of which `gst-launch -v` prints now this and now that. */
const FORMATS: Record<string, readonly [kind: string, payloadType: number, rtpmap: string]> = {
  rtph264pay: ['video', 96, 'H264/90000'],
  rtph265pay: ['video', 96, 'H265/90000'],
  rtpvp8pay: ['video', 96, 'VP8/90000'],
  rtpvp9pay: ['video', 96, 'VP9/90000'],
  rtpjpegpay: ['video', 26, 'JPEG/90000'],
  rtpmp4gpay: ['audio', 96, 'MPEG4-GENERIC/48000/2'],
  rtpmp4apay: ['audio', 96, 'MP4A-LATM/48000/2'],
  rtpopuspay: ['audio', 96, 'OPUS/48000/2'],
  rtppcmapay: ['audio', 8, 'PCMA/8000'],
  rtpL16pay: ['audio', 96, 'L16/48000/2'],
}

function toSdp(pay: string, codecPrivate: Uint8Array): string {
  const [kind, payloadType, rtpmap] = FORMATS[pay.split(' ')[0]!]!
  const config = Buffer.from(codecPrivate)
  const parameters: Record<string, string> = {
    rtpmp4gpay: `mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=${config.toString('hex')}`,
    rtpmp4apay: `cpresent=0;config=${toMuxConfig(config)}`,
    rtpopuspay: 'sprop-stereo=1',
  }
  const fmtp = parameters[pay.split(' ')[0]!] ?? ''
  return `m=${kind} 0 RTP/AVP ${payloadType}\na=rtpmap:${payloadType} ${rtpmap}\na=fmtp:${payloadType} ${fmtp}\n`
}

/** As rtpmp4apay writes it: 15 bits, the AudioSpecificConfig, and nothing of what belongs behind it. */
function toMuxConfig(config: Uint8Array): string {
  const bits = `010000000000000${[...config].map((byte) => byte.toString(2).padStart(8, '0')).join('')}`
  const bytes = bits.match(/.{1,8}/g)!.map((byte) => parseInt(byte.padEnd(8, '0'), 2))
  return Buffer.from(bytes).toString('hex')
}

describe.skipIf(!isInstalled('gst-launch-1.0'))("what GStreamer's payloaders send", () => {
  test.each(CASES)('%s', async (_rule, encode, pay) => {
    const { path, packets } = await send(encode, pay)
    const { tracks, packets: demuxed } = await demux(path)
    const sdp = toSdp(pay, tracks[0]!.codecPrivate)
    const { sink, intake } = openIntake(sdp, { isReliable: false })

    for (const packet of packets) intake.rtp(0, packet, NOW)
    intake.flush()

    expect(intake.stats()[0]).toMatchObject({ lost: 0, malformed: 0, refused: 0 })
    expect([...sink.drops]).toEqual([])
    expect(sink.tracks).toHaveLength(1)
    const { codecId, kind, timescale } = sink.tracks[0]!
    const sent = demuxed.map((packet) => ({
      ...packet,
      data: withoutParameterSets(codecId, packet.data),
    }))
    if (codecId === 'V_MJPEG') {
      for (const [i, { data }] of sink.samples.entries()) {
        const pixels = await sharp(data).raw().toBuffer()
        expect(pixels.equals(await sharp(sent[i]!.data).raw().toBuffer())).toBe(true)
      }
    } else if (kind === 'video') {
      expect(sink.samples.map(({ data, isKey }) => [data.length, isKey])).toEqual(
        sent.map(({ data, isKey }) => [data.length, isKey]),
      )
    }
    if (codecId !== 'V_MJPEG') {
      const joined = (parts: readonly { data: Uint8Array }[]) =>
        Buffer.concat(parts.map(({ data }) => data))
      expect(joined(sink.samples).equals(joined(sent))).toBe(true)
    }
    // Matroska has whole milliseconds, and of Opus not what a decoder skips.
    const spanMs = ((sink.samples.at(-1)!.pts - sink.samples[0]!.pts) * 1000) / timescale
    if (sink.samples.length === sent.length) {
      expect(Math.abs(spanMs - (sent.at(-1)!.ptsMs - sent[0]!.ptsMs))).toBeLessThan(
        kind === 'audio' ? 10 : 2,
      )
    }
    expect(sink.samples.every(({ pts, dts }) => dts <= pts)).toBe(true)
    expect(sink.samples.every(({ dts }, i) => i === 0 || dts > sink.samples[i - 1]!.dts)).toBe(true)
  })
})
