import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import {
  toMatroskaHeader,
  clusterStart,
  simpleBlockHead,
} from '../../../src/media/matroska/writer.ts'
import { rescaleTicks } from '../../../src/domain/time.ts'
import type { Sample, Track } from '../../../src/domain/track.ts'
import { demux, type DemuxedPacket } from '../../playback/support/demux.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { sendRtp, type Sent } from './ffmpeg-rtp.ts'
import { NOW, openIntake } from './recording-sink.ts'

const PICTURES = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25:duration=1.6']
const SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=1.2']
const NARROW_SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=8000:duration=1.2']

type Case = {
  readonly rule: string
  /** Makes the clip that is sent. */
  readonly make: readonly string[]
  readonly file: string
  readonly send?: readonly string[]
  readonly track: Partial<Omit<Track, 'codecPrivate'>>
  /** The sender keeps what is not a full packet at the end to itself. */
  readonly isCut?: boolean
  /** The demuxer's private data are what our track must have. */
  readonly hasSamePrivate?: boolean
}

const X264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '20']
const VIDEO = { number: 1, kind: 'video', timescale: 90_000 } as const
const SIZE = { video: { widthPx: 320, heightPx: 240 }, audio: null }

const CASES: readonly Case[] = [
  {
    rule: 'H.264 without B-frames',
    make: [...PICTURES, ...X264, '-bf', '0'],
    file: 'plain.mp4',
    track: { ...VIDEO, ...SIZE, codecId: 'V_MPEG4/ISO/AVC' },
    hasSamePrivate: true,
  },
  {
    rule: 'H.264 with a pyramid of B-frames',
    make: [
      ...PICTURES,
      ...X264,
      '-bf',
      '3',
      '-b_strategy',
      '0',
      '-x264-params',
      'b-pyramid=normal',
    ],
    file: 'pyramid.mp4',
    track: { ...VIDEO, ...SIZE, codecId: 'V_MPEG4/ISO/AVC' },
    hasSamePrivate: true,
  },
  {
    rule: 'H.264 in slices, packetisation mode 0',
    make: [...PICTURES, ...X264, '-x264-params', 'slice-max-size=600'],
    file: 'slices.mp4',
    send: ['-rtpflags', 'h264_mode0'],
    track: { ...VIDEO, ...SIZE, codecId: 'V_MPEG4/ISO/AVC' },
    hasSamePrivate: true,
  },
  {
    rule: 'H.265 with B-frames',
    make: [
      ...PICTURES,
      '-c:v',
      'libx265',
      '-preset',
      'ultrafast',
      '-bf',
      '2',
      '-x265-params',
      'log-level=error:keyint=20',
    ],
    file: 'hevc.mp4',
    track: { ...VIDEO, ...SIZE, codecId: 'V_MPEGH/ISO/HEVC' },
  },
  {
    rule: 'VP8',
    make: [
      ...PICTURES,
      '-c:v',
      'libvpx',
      '-deadline',
      'realtime',
      '-g',
      '20',
      '-auto-alt-ref',
      '0',
    ],
    file: 'vp8.mkv',
    track: { ...VIDEO, ...SIZE, codecId: 'V_VP8' },
  },
  {
    rule: 'VP9',
    make: [...PICTURES, '-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-g', '20'],
    file: 'vp9.mkv',
    send: ['-strict', 'experimental'],
    track: { ...VIDEO, ...SIZE, codecId: 'V_VP9' },
  },
  {
    rule: 'JPEG',
    make: [...PICTURES, '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-huffman', 'default'],
    file: 'motion.mkv',
    track: { ...VIDEO, ...SIZE, codecId: 'V_MJPEG' },
  },
  {
    rule: 'AAC (RFC 3640)',
    isCut: true,
    make: [...SOUND, '-c:a', 'aac', '-ac', '2'],
    file: 'sound.mp4',
    track: {
      number: 2,
      codecId: 'A_AAC',
      timescale: 48_000,
      audio: { sampleRateHz: 48_000, channels: 2 },
    },
    hasSamePrivate: true,
  },
  {
    rule: 'AAC as LATM',
    make: [...SOUND, '-c:a', 'aac', '-ac', '1'],
    file: 'latm.mp4',
    send: ['-rtpflags', 'latm'],
    track: {
      number: 2,
      codecId: 'A_AAC',
      timescale: 48_000,
      audio: { sampleRateHz: 48_000, channels: 1 },
    },
  },
  {
    rule: 'G.711 a-law',
    make: [...NARROW_SOUND, '-c:a', 'pcm_alaw'],
    file: 'alaw.wav',
    track: {
      number: 2,
      codecId: 'A_MS/ACM',
      timescale: 8000,
      audio: { sampleRateHz: 8000, channels: 1 },
    },
  },
  {
    rule: 'G.711 µ-law at another clock, two channels',
    make: [...SOUND, '-c:a', 'pcm_mulaw', '-ac', '2', '-ar', '16000'],
    file: 'mulaw.wav',
    track: {
      number: 2,
      codecId: 'A_MS/ACM',
      timescale: 16_000,
      audio: { sampleRateHz: 16_000, channels: 2 },
    },
  },
  {
    rule: 'G.722',
    make: [...SOUND, '-c:a', 'g722', '-ar', '16000'],
    file: 'g722.mkv',
    track: {
      number: 2,
      codecId: 'A_MS/ACM',
      timescale: 8000,
      audio: { sampleRateHz: 16_000, channels: 1 },
    },
  },
  {
    rule: 'Opus, stereo',
    make: [...SOUND, '-c:a', 'libopus', '-ac', '2'],
    file: 'opus.mkv',
    track: {
      number: 2,
      codecId: 'A_OPUS',
      timescale: 48_000,
      audio: { sampleRateHz: 48_000, channels: 2 },
    },
  },
  {
    rule: 'L16',
    make: [...SOUND, '-c:a', 'pcm_s16be', '-ac', '2', '-ar', '44100'],
    file: 'l16.mkv',
    track: {
      number: 2,
      codecId: 'A_PCM/INT/BIG',
      timescale: 44_100,
      audio: { sampleRateHz: 44_100, channels: 2, bitDepth: 16 },
    },
  },
]

function takeIn(sent: Sent) {
  const opened = openIntake(sent.sdp, { isReliable: false })
  const shared = new Uint8Array(65_536) // one buffer for all, as sockets have
  for (const { isRtcp, bytes } of sent.datagrams) {
    shared.fill(0xaa)
    shared.set(bytes)
    const packet = shared.subarray(0, bytes.length)
    if (isRtcp) opened.intake.rtcp(0, packet, NOW)
    else opened.intake.rtp(0, packet, NOW)
  }
  shared.fill(0xaa)
  opened.intake.flush()
  return opened
}

/** What ffmpeg's own demuxer finds in a Matroska file of these samples. */
async function throughMatroska(track: Track, samples: readonly Sample[]) {
  const path = join(await scratchDirectory(), 'taken.mkv')
  const first = samples[0]!.pts
  const blocks = samples.flatMap((sample) => {
    const relativeMs = rescaleTicks(sample.pts - first, track.timescale, 1000)
    const { isKey, trackNumber, data } = sample
    return [simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength: data.length }), data]
  })
  await writeFile(path, Buffer.concat([toMatroskaHeader([track]), clusterStart(1000), ...blocks]))
  return demux(path)
}

describe.skipIf(!isInstalled('ffmpeg', '-version'))('what ffmpeg sends over RTP', () => {
  test.each(CASES)('$rule', async ({ make, file, send, track, hasSamePrivate, isCut = false }) => {
    const path = join(await scratchDirectory(), file)
    const made = spawnSync('ffmpeg', ['-loglevel', 'error', '-nostdin', '-y', ...make, path])
    expect(made.status, String(made.stderr)).toBe(0)
    const { tracks, packets } = await demux(path)

    const sent = await sendRtp(['-re', '-i', path], ['-c', 'copy', ...(send ?? [])])
    const { sink, intake } = takeIn(sent)

    expect(sink.tracks).toHaveLength(1)
    expect(sink.tracks[0]).toMatchObject(track)
    if (hasSamePrivate === true) {
      expect(Buffer.from(sink.tracks[0]!.codecPrivate)).toEqual(
        Buffer.from(tracks[0]!.codecPrivate),
      )
    }
    expect([...sink.drops]).toEqual([])
    expect(intake.stats()[0]).toMatchObject({ lost: 0, malformed: 0, refused: 0, duplicates: 0 })
    expect(sink.clocks.length).toBeGreaterThan(0)
    if (track.codecId === 'V_MJPEG') await expectSameJpegs(sink.samples, packets)
    else if (track.kind === 'video') expectSamePictures(sink.samples, packets)
    else expectSameSound(sink.samples, packets, { timescale: sink.tracks[0]!.timescale, isCut })
    const stored = await throughMatroska(sink.tracks[0]!, sink.samples)
    expect(stored.packets.length).toBe(sink.samples.length)
  })
})

/** Byte for byte, at the same times, in the same order of decoding. */
function expectSamePictures(samples: readonly Sample[], packets: readonly DemuxedPacket[]): void {
  const toTicks = (ms: number) => Math.round(ms * 90)
  const seen = samples.map((sample) => ({
    pts: sample.pts - samples[0]!.pts,
    isKey: sample.isKey,
    bytes: sample.data.length,
  }))
  const expected = packets.map((packet) => ({
    pts: toTicks(packet.ptsMs - packets[0]!.ptsMs),
    isKey: packet.isKey,
    bytes: packet.data.length,
  }))
  expect(seen).toEqual(expected)
  expect(samples.every(({ data }, i) => Buffer.compare(data, packets[i]!.data) === 0)).toBe(true)
  expect(samples.every((sample) => sample.dts <= sample.pts)).toBe(true)
  expect(samples.every((sample, i) => i === 0 || sample.dts > samples[i - 1]!.dts)).toBe(true)
  // The first pictures' decode times lie before the recording and may be closer together.
  const settled = samples.slice(4).map((sample) => sample.dts - samples[0]!.pts)
  expect(settled).toEqual(packets.slice(4).map((each) => toTicks(each.dtsMs - packets[0]!.ptsMs)))
}

/** RFC 2435 keeps the scan alone, so the files differ; what is seen does not. */
async function expectSameJpegs(
  samples: readonly Sample[],
  packets: readonly DemuxedPacket[],
): Promise<void> {
  expect(samples.length).toBe(packets.length)
  for (const [i, { data, pts, isKey }] of samples.entries()) {
    const pixels = await sharp(data).raw().toBuffer()
    expect(pixels.equals(await sharp(packets[i]!.data).raw().toBuffer())).toBe(true)
    expect(isKey).toBe(true)
    const expectedMs = packets[i]!.ptsMs - packets[0]!.ptsMs
    expect(Math.abs((pts - samples[0]!.pts) / 90 - expectedMs)).toBeLessThan(1.5)
  }
}

/** The same bytes; a muxer may cut PCM elsewhere than a demuxer. */
function expectSameSound(
  samples: readonly Sample[],
  packets: readonly DemuxedPacket[],
  { timescale, isCut }: { readonly timescale: number; readonly isCut: boolean },
): void {
  const joined = (parts: readonly { readonly data: Uint8Array }[]) =>
    Buffer.concat(parts.map(({ data }) => data))
  const sent = joined(packets)
  const taken = joined(samples)
  expect(taken.equals(sent.subarray(0, taken.length))).toBe(true)
  if (!isCut) expect(taken.length).toBe(sent.length)
  else expect(packets.length - samples.length).toBeLessThanOrEqual(5)
  const lastMs = packets.at(-1)!.ptsMs - packets[0]!.ptsMs
  const seenMs = ((samples.at(-1)!.pts - samples[0]!.pts) * 1000) / timescale
  if (samples.length === packets.length) expect(Math.abs(seenMs - lastMs)).toBeLessThan(1.5)
  expect(samples.every((sample, i) => i === 0 || sample.pts > samples[i - 1]!.pts)).toBe(true)
  expect(samples.every((sample) => sample.isKey && sample.dts === sample.pts)).toBe(true)
}
