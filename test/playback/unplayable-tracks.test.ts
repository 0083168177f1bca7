import { spawnSync } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { describe, expect, onTestFinished, test } from 'vitest'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import {
  CODEC_ACM,
  CODEC_MJPEG,
  CODEC_ONVIF_METADATA,
  CODEC_OPUS,
  CODEC_PCM_BIG_ENDIAN,
  CODEC_RTP,
  type Track,
} from '../../src/domain/track.ts'
import { parseHeader } from '../../src/media/matroska/scanner.ts'
import { validateMatroska } from '../../src/media/matroska/validate.ts'
import { toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import { toOpusHead } from '../../src/media/opus/opus-head.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../src/media/pcm/wave-format.ts'
import { TensorScaler, VideoDecoder } from '../../src/platform/av.ts'
import { createHls } from '../../src/playback/index.ts'
import { createImages } from '../../src/playback/image/index.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { isInstalled } from '../support/installed.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { demux, type DemuxedFile, type DemuxedPacket } from './support/demux.ts'
import { record } from './support/record.ts'
import { openTemporaryArchive } from './support/temporary-archive.ts'

const FIXTURE = fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url))
const START_MS = 1_790_000_000_000
const CAMERA = toStreamId('camera', 1)

const wave = { tag: WAVE_FORMAT.alaw, channels: 1, sampleRateHz: 8000, bitsPerSample: 8 }
const track = (
  number: number,
  kind: Track['kind'],
  codecId: string,
  more: Partial<Track> = {},
) => ({
  number,
  kind,
  codecId,
  codecPrivate: new Uint8Array(0),
  timescale: 1000,
  video: null,
  audio: null,
  ...more,
})

/** One of each that RTP brings and fMP4 does not carry. */
const OTHERS: readonly Track[] = [
  track(11, 'audio', CODEC_ACM, {
    codecPrivate: toWaveFormatEx(wave),
    audio: { sampleRateHz: 8000, channels: 1 },
  }),
  track(12, 'audio', CODEC_OPUS, {
    codecPrivate: toOpusHead({ channels: 1, inputRateHz: 48_000 }),
    audio: { sampleRateHz: 48_000, channels: 1 },
  }),
  track(13, 'audio', CODEC_PCM_BIG_ENDIAN, {
    audio: { sampleRateHz: 16_000, channels: 1, bitDepth: 16 },
  }),
  track(14, 'data', CODEC_ONVIF_METADATA, {
    codecPrivate: Uint8Array.from(Buffer.from('application/vnd.onvif.metadata')),
  }),
  track(15, 'data', CODEC_RTP, {
    codecPrivate: Uint8Array.from(Buffer.from('a=rtpmap:96 X/1\r\n')),
  }),
]

const packetsOf = (tracks: readonly Track[], seconds: number): DemuxedPacket[] =>
  Array.from({ length: seconds * 5 }, (_, i) =>
    tracks.map(({ number }) => ({
      trackNumber: number,
      ptsMs: i * 200,
      dtsMs: i * 200,
      durationMs: 200,
      isKey: true,
      data: Uint8Array.of(0xf8, 0xff, 0xfe, 0), // silence to a decoder of Opus
    })),
  ).flat()

/** The fixture's film with the other tracks between its packets. */
async function withOthers(): Promise<{ film: DemuxedFile; mixed: DemuxedFile }> {
  const film = await demux(FIXTURE)
  const seconds = Math.floor(film.packets.at(-1)!.dtsMs / 1000)
  const packets = [...film.packets, ...packetsOf(OTHERS, seconds)]
    .map((packet, order) => ({ packet, order }))
    .sort((a, b) => a.packet.dtsMs - b.packet.dtsMs || a.order - b.order)
    .map(({ packet }) => packet)
  return { film, mixed: { tracks: [...film.tracks, ...OTHERS], packets } }
}

async function recorded(file: DemuxedFile) {
  const temporary = await openTemporaryArchive()
  onTestFinished(() => temporary[Symbol.asyncDispose]())
  const { archive } = temporary
  const fragments = await record(file, { archive, streamId: CAMERA, startMs: START_MS })
  const end = START_MS + Math.round(file.packets.at(-1)!.ptsMs)
  const hls = createHls({ archive, clock: new ManualClock(end) })
  const images = createImages({ archive, workers: 1 })
  onTestFinished(() => images[Symbol.asyncDispose]())
  return { archive, fragments, hls, images }
}

describe('tracks that fMP4 does not carry', () => {
  test('are left out of what is played, and the others play', async () => {
    const { film, mixed } = await withOthers()
    const { hls, fragments } = await recorded(mixed)
    const plain = await recorded(film)

    const master = await hls.master(CAMERA, null, '')
    const codecs = (playlist: string) => /CODECS="([^"]*)"/.exec(playlist)?.[1]

    expect(codecs(master)).toBe(codecs(await plain.hls.master(CAMERA, null, '')))
    const { bytes } = await hls.mediaSegment(CAMERA, fragments[0]!.fragmentNumber)
    const same = await plain.hls.mediaSegment(CAMERA, plain.fragments[0]!.fragmentNumber)
    expect(Buffer.compare(bytes, same.bytes)).toBe(0)
    expect(await hls.liveMedia(CAMERA)).toContain('#EXTM3U')
  })

  test('alone give an error that names them', async () => {
    const { hls, images } = await recorded({ tracks: OTHERS, packets: packetsOf(OTHERS, 3) })

    const problem = { kind: 'invalid-argument', code: 'UnsupportedMedia' }
    await expect(hls.liveMedia(CAMERA)).rejects.toMatchObject(problem)
    await expect(hls.liveMedia(CAMERA)).rejects.toThrow(/A_MS\/ACM.*D_ONVIF\/METADATA/)
    await expect(images.imageAt(CAMERA, START_MS + 1000, { format: 'jpeg' })).rejects.toMatchObject(
      {
        code: 'NoMedia',
      },
    )
  })

  test('alone in one chunk do not hide what is around it', async () => {
    const { film } = await withOthers()
    const { archive, hls, fragments } = await recorded(film)
    const later = START_MS + 60_000
    const others = { tracks: OTHERS, packets: packetsOf(OTHERS, 3) }
    await record(others, { archive, streamId: CAMERA, startMs: later })

    const range = { from: epochMs(START_MS), to: epochMs(later + 3_000) }
    const playlist = await hls.archiveMedia(CAMERA, range)

    expect(playlist.match(/#EXTINF/g)).toHaveLength(fragments.length)
  })

  test('keep their codec, their private data and their bit depth in the header', () => {
    const header = parseHeader(
      Buffer.concat([toMatroskaHeader(OTHERS), Buffer.from('1f43b675ff', 'hex')]),
    )

    expect(header!.tracks.map((each) => ({ ...each, timescale: 1000 }))).toEqual(OTHERS)
  })

  test('make valid Matroska, for us and for others', async () => {
    const { mixed } = await withOthers()
    const before = new Set(await readdir(tmpdir()))
    const temporary = await openTemporaryArchive()
    onTestFinished(() => temporary[Symbol.asyncDispose]())
    await record(mixed, { archive: temporary.archive, streamId: CAMERA, startMs: START_MS })
    const made = (await readdir(tmpdir())).filter(
      (name) => name.startsWith('kinora-playback-') && !before.has(name),
    )
    const paths = (await Promise.all(made.map((name) => chunkFiles(join(tmpdir(), name))))).flat()
    expect(paths.length).toBeGreaterThan(0)

    for (const path of paths) {
      const bytes = await readFile(path)
      const read = async (at: number, length: number) => bytes.subarray(at, at + length)
      const { findings } = await validateMatroska(
        { bytes: bytes.length, read },
        { layout: 'fragments', tail: 'whole' },
      )
      expect(findings).toEqual([])
      expect((await demux(path)).tracks.filter(({ kind }) => kind === 'audio')).toHaveLength(
        mixed.tracks.filter(({ kind }) => kind === 'audio').length,
      )
      if (!isInstalled('mkvinfo')) continue
      const { status, stdout } = spawnSync('mkvinfo', [path], { encoding: 'utf8' })
      expect(status).toBe(0)
      for (const { codecId } of OTHERS) expect(stdout).toContain(codecId)
    }
  })
})

describe('MJPEG', () => {
  const size = { widthPx: 320, heightPx: 240 }
  const MJPEG = track(1, 'video', CODEC_MJPEG, { video: size })

  async function pictures(): Promise<DemuxedFile> {
    const packets = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const background = { r: 200 - i * 20, g: 40 + i * 20, b: 90 }
        const create = { width: 320, height: 240, channels: 3 as const, background }
        const data = new Uint8Array(await sharp({ create }).jpeg({ quality: 90 }).toBuffer())
        return {
          trackNumber: 1,
          ptsMs: i * 100,
          dtsMs: i * 100,
          durationMs: 100,
          isKey: true,
          data,
        }
      }),
    )
    return { tracks: [MJPEG], packets }
  }

  test('gives images of any instant', async () => {
    const { images } = await recorded(await pictures())

    const image = await images.imageAt(CAMERA, START_MS + 450, { format: 'png' })

    expect(image.frameTimestamp).toBe(epochMs(START_MS + 400))
    const { data, info } = await sharp(image.bytes).raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height]).toEqual([320, 240])
    for (const [channel, level] of [120, 120, 90].entries()) {
      expect(Math.abs(data[channel]! - level)).toBeLessThan(5)
    }
  })

  test('can be decoded and scaled for detection', async () => {
    const { packets } = await pictures()
    using decoder = new VideoDecoder(MJPEG)
    using scaler = new TensorScaler({
      widthPx: 64,
      heightPx: 64,
      channelOrder: 'RGB',
      letterbox: 'stretch',
      padValue: 0,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    })
    const tensor = new Float32Array(scaler.length)
    let frames = 0
    for (const frame of decoder.decode(packets)) {
      scaler.scale(frame.picture, tensor)
      expect(Math.abs(tensor[0]! - (200 - frames * 20))).toBeLessThan(5)
      frames++
    }

    expect(frames).toBe(10)
  })

  test('is not played, and the error says so', async () => {
    const { hls } = await recorded(await pictures())

    await expect(hls.master(CAMERA, null, '')).rejects.toThrow(/holds V_MJPEG/)
  })
})
