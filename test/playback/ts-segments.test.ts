import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CODEC_HEVC } from '../../src/domain/track.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { toMediaPlaylist, toTargetDuration } from '../../src/media/hls/media-playlist.ts'
import { toTsSegment } from '../../src/media/mpegts/ts-segment.ts'
import { annexBNalUnits, lengthPrefixedNalUnits } from '../../src/media/nal/nal-units.ts'
import { toPlaylistSegments } from '../../src/playback/hls/segment-list.ts'
import { toSegmentTracks } from '../../src/playback/hls/segment-parts.ts'
import { readTs } from '../media/mpegts/read-ts.ts'
import { closePage, hasChromium, launchChromium, VIDEO_SUITE } from '../support/chromium.ts'
import { isInstalled } from '../support/installed.ts'
import { sharedMedia } from '../support/shared-media.ts'
import { addPlayerPage, playUntil, startPlaying } from './support/browser.ts'
import { demux, type DemuxedFile } from './support/demux.ts'
import { firstGroups, record } from './support/record.ts'
import { servePlayback } from './support/serve.ts'
import { openTemporaryArchive, type TemporaryArchive } from './support/temporary-archive.ts'

const streamId = toStreamId('camera', 0)
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const files = [
  {
    rule: 'H.264 and AAC',
    path: fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url)),
  },
  { rule: 'H.264 with B-frames and AAC', path: sharedMedia('vtest_tiodh.mp4') },
  { rule: 'H.265 and AAC', path: sharedMedia('vtest_hevc_aac_15s.mp4') },
  { rule: 'H.265', path: sharedMedia('mediabunny_video-h265.mp4') },
].filter((file): file is { rule: string; path: string } => file.path !== null)

let storage: TemporaryArchive
let directory: string
beforeEach(async () => {
  storage = await openTemporaryArchive()
  directory = await mkdtemp(join(tmpdir(), 'kinora-ts-'))
})
afterEach(async () => {
  await storage[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

/** Each fragment of the file as a segment, made alone. */
async function toSegments(file: DemuxedFile) {
  const fragments = await record(file, { archive: storage.archive, streamId, startMs: START })
  const segments: Uint8Array[] = []
  for (const [i, fragment] of fragments.entries()) {
    const stored = await storage.archive.read(fragment)
    const tracks = toSegmentTracks(fragment, fragments[i + 1] ?? null, stored)
    segments.push(toTsSegment({ tracks }))
  }
  return { fragments, segments }
}

describe.each(files)('$rule as MPEG-TS', ({ path }) => {
  test('is read by FFmpeg with every sample, at its time, over all segments', async () => {
    const file = await demux(path)
    const { segments } = await toSegments(file)
    const whole = join(directory, 'all.ts')
    await writeFile(whole, Buffer.concat(segments))

    expect(() => readTs(Buffer.concat(segments))).not.toThrow() // counters, tables, clock
    const played = await demux(whole)

    for (const track of file.tracks) {
      const stored = file.packets.filter((packet) => packet.trackNumber === track.number)
      const [same] = played.tracks.filter(({ kind }) => kind === track.kind)
      const found = played.packets.filter((packet) => packet.trackNumber === same!.number)
      expect(found).toHaveLength(stored.length)
      const offsetMs = found[0]!.ptsMs - stored[0]!.ptsMs
      const toleranceMs = track.kind === 'video' ? 0.6 : 1.2 // times are stored in milliseconds
      for (const [i, packet] of found.entries()) {
        const off = Math.abs(packet.ptsMs - stored[i]!.ptsMs - offsetMs)
        expect(off).toBeLessThan(2 * toleranceMs)
        expect(packet.isKey).toBe(stored[i]!.isKey)
      }
      const isHevc = track.codecId === CODEC_HEVC
      const wanted = stored.map(({ data }) =>
        track.kind === 'video' ? picture(lengthPrefixed(data), isHevc) : data,
      )
      const heard = found.map(({ data }) =>
        track.kind === 'video' ? picture(annexB(data), isHevc) : withoutAdts(data),
      )
      expect(heard.every((data, i) => Buffer.compare(data, wanted[i]!) === 0)).toBe(true)
    }
  })

  test('begins anywhere: each segment alone has all that it needs', async () => {
    const file = await demux(path)
    const { segments } = await toSegments(file)

    for (const [i, segment] of segments.entries()) {
      const alone = join(directory, `${i}.ts`)
      await writeFile(alone, segment)
      const { tracks, packets } = await demux(alone)
      expect(tracks).toHaveLength(file.tracks.length)
      expect(
        packets.find(({ trackNumber }) => tracks[trackNumber - 1]!.kind === 'video')!.isKey,
      ).toBe(true)
    }
  })

  test.skipIf(!isInstalled('ffmpeg'))(
    'the ffmpeg command decodes it without a complaint',
    async () => {
      const { segments } = await toSegments(await demux(path))
      const whole = join(directory, 'all.ts')
      await writeFile(whole, Buffer.concat(segments))

      expect(
        await run('ffmpeg', [
          '-v',
          'warning',
          '-xerror',
          '-i',
          whole,
          '-map',
          '0',
          '-f',
          'null',
          '-',
        ]),
      ).toBe('')
    },
  )
})

const camera = sharedMedia('vtest_tiodh.mp4')

describe.skipIf(!hasChromium() || camera === null)('hls.js in Chromium', VIDEO_SUITE, () => {
  test('plays it to the end', async ({ task }) => {
    const { fragments, segments } = await toSegments(firstGroups(await demux(camera!), 2))
    const listed = toPlaylistSegments(fragments, ({ sequence }) => ({
      uri: `${sequence}.ts`,
      initUri: '',
    })).map((segment) => ({ ...segment, initUri: null }))
    const playlist = toMediaPlaylist({
      kind: 'vod',
      segments: listed,
      targetDurationS: toTargetDuration(listed),
      mediaSequence: fragments[0]!.sequence,
      discontinuitySequence: 0,
    })
    await using served = await servePlayback({
      archive: storage.archive,
      streamId,
      prepare: (fastify) => {
        addPlayerPage(fastify)
        fastify.get('/ts/media.m3u8', (_, reply) =>
          reply.type('application/vnd.apple.mpegurl').send(playlist),
        )
        for (const [i, { sequence }] of fragments.entries()) {
          fastify.get(`/ts/${sequence}.ts`, (_, reply) =>
            reply.type('video/mp2t').send(Buffer.from(segments[i]!)),
          )
        }
      },
    })
    const browser = await launchChromium()
    const page = await browser.newPage()
    try {
      await page.goto(new URL('/player', served.baseUrl).href)
      await startPlaying(page, new URL('/ts/media.m3u8', served.baseUrl).href)
      await playUntil(page, 'r.currentTime > 1')
      await page.evaluate(`document.querySelector('video').playbackRate = 8`)
      const played = await playUntil(page, 'r.ended')

      expect(played).toMatchObject({ fatal: [], errors: [], size: [480, 360] })
      expect(played.buffered).toHaveLength(1)
      expect(played.videoFrames).toBeGreaterThan(140) // of 160; a busy machine may drop some
      expect(played.audioBytes).toBeGreaterThan(100_000)
    } finally {
      await closePage(page, task)
      await browser.close()
    }
  })
})

function lengthPrefixed(data: Uint8Array): readonly Uint8Array[] {
  return [...lengthPrefixedNalUnits(data, 4)].map(({ start, end }) => data.subarray(start, end))
}

function annexB(data: Uint8Array): readonly Uint8Array[] {
  return [...annexBNalUnits(data)].map(({ start, end }) => data.subarray(start, end))
}

/** Without delimiters and parameter sets; a NAL unit does not say its trailing zeros in Annex B. */
function picture(units: readonly Uint8Array[], isHevc: boolean): Uint8Array {
  const left = isHevc ? [32, 33, 34, 35] : [7, 8, 9]
  const typeOf = (unit: Uint8Array) => (isHevc ? (unit[0]! >> 1) & 0x3f : unit[0]! & 0x1f)
  return Buffer.concat(units.filter((unit) => !left.includes(typeOf(unit))))
}

function withoutAdts(data: Uint8Array): Uint8Array {
  return data[0] === 0xff && (data[1]! & 0xf6) === 0xf0 ? data.subarray(7) : data
}

/** Everything that the command prints. */
async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => (printed += data.toString()))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${printed}`)
  return printed.trim()
}
