import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createFile, MP4BoxBuffer } from 'mp4box'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Archive } from '../../src/archive/index.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { isInstalled } from '../support/installed.ts'
import { sharedMedia } from '../support/shared-media.ts'
import { demux, type DemuxedFile } from './support/demux.ts'
import { firstGroups, record } from './support/record.ts'
import { servePlayback, type ServedPlayback } from './support/serve.ts'
import { openTemporaryArchive } from './support/temporary-archive.ts'

// What is stored comes back out of HLS, seen by FFmpeg's own HLS and MP4 readers over HTTP.

const streamId = toStreamId('camera', 0)
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const ALL = `?from=${START - 1000}&to=${START + 3600_000}`

const files = [
  { rule: 'moving shapes', path: ownFixture('moving-shapes.mp4') },
  { rule: 'B-frames and AAC 44.1 kHz', path: sharedMedia('vtest_tiodh.mp4') },
  { rule: 'a pyramid of B-frames, 1080p, AAC 48 kHz', path: sharedMedia('mediabunny_video.mp4') },
  { rule: 'video alone', path: sharedMedia('intel_one-by-one-person-detection.mp4') },
  { rule: 'H.265 and AAC', path: sharedMedia('vtest_hevc_aac_15s.mp4') },
  { rule: '29.97 pictures a second', path: sharedMedia('kvs_vogels_480.mkv') },
].filter((file): file is { rule: string; path: string } => file.path !== null)

let storage: Awaited<ReturnType<typeof openTemporaryArchive>>
let archive: Archive
let served: ServedPlayback
beforeEach(async () => {
  storage = await openTemporaryArchive()
  archive = storage.archive
  served = await servePlayback({ archive, streamId })
})
afterEach(async () => {
  await served[Symbol.asyncDispose]()
  await storage[Symbol.asyncDispose]()
})

describe.each(files)('$rule', ({ path }) => {
  test('FFmpeg reads every sample at its wall time, byte for byte', async () => {
    const file = await demux(path)
    await record(file, { archive, streamId, startMs: START })

    const played = await demux(`${served.baseUrl}master.m3u8${ALL}`)

    const toWall = (ms: number) => START + Math.round(ms)
    for (const track of file.tracks) {
      const stored = packetsOf(file, track.number)
      const found = packetsOf(played, track.number)
      expect(found).toHaveLength(stored.length)
      // Audio is exact to the frame and anchored by rounded milliseconds.
      const toleranceMs = track.kind === 'video' ? 0.01 : 1.01
      for (const [i, packet] of found.entries()) {
        const expected = toWall(stored[i]!.ptsMs)
        expect(Math.abs(packet.ptsMs - expected)).toBeLessThan(toleranceMs)
      }
      expect(found.every(({ data }, i) => Buffer.compare(data, stored[i]!.data) === 0)).toBe(true)
      for (const [i, packet] of found.entries()) {
        if (i > 0) expect(packet.dtsMs).toBeGreaterThan(found[i - 1]!.dtsMs - 1.01)
        if (track.kind === 'video') expect(packet.ptsMs).toBeGreaterThan(packet.dtsMs - 0.01)
      }
    }
  })

  test('neighbouring segments meet', async () => {
    await record(await demux(path), { archive, streamId, startMs: START })
    const ends = new Map<string, number>()
    for (const segment of await fetchSegments()) {
      for (const { type, start, end, keyFirst } of parseSegment(segment)) {
        const gapMs = start - (ends.get(type) ?? start)
        // Video may stop where the next fragment's sound begins; sound is rounded to milliseconds
        // at every anchor. Neither covers the next segment's first sample.
        expect(gapMs).toBeGreaterThan(-1.1)
        expect(gapMs).toBeLessThan(25)
        expect(keyFirst).toBe(true)
        ends.set(type, end)
      }
    }
    expect(ends.size).toBeGreaterThan(0)
  })

  test.skipIf(!isInstalled('ffmpeg'))(
    'the ffmpeg command decodes it without a complaint',
    async () => {
      const file = await demux(path)
      await record(file, { archive, streamId, startMs: START })
      const url = `${served.baseUrl}master.m3u8${ALL}`

      const complaints = await run('ffmpeg', [
        '-v',
        'warning',
        '-xerror',
        '-i',
        url,
        '-map',
        '0',
        '-f',
        'null',
        '-',
      ])
      const frames = await run('ffprobe', [
        '-v',
        'error',
        '-count_frames',
        '-show_entries',
        'stream=nb_read_frames',
        '-of',
        'csv=p=0',
        url,
      ])

      expect(complaints).toBe('')
      const counts = file.tracks.map(({ number }) => String(packetsOf(file, number).length))
      expect(
        frames
          .split('\n')
          .filter((line) => /^\d+$/.test(line))
          .slice(0, counts.length),
      ).toEqual(counts)
    },
  )
})

const cameraPath = sharedMedia('vtest_tiodh.mp4')

describe.skipIf(cameraPath === null)('two sessions with a hole of seven seconds', () => {
  test('keep their wall times in FFmpeg and in the playlist', async () => {
    const session = firstGroups(await demux(cameraPath!), 2)
    const [, last] = await record(session, { archive, streamId, startMs: START })
    const resumeMs = last!.producerTimestamp + last!.durationMs + 7000
    await record(session, { archive, streamId, startMs: resumeMs })

    const playlist = await (await fetch(`${served.baseUrl}media.m3u8${ALL}`)).text()
    const played = await demux(`${served.baseUrl}master.m3u8${ALL}`)

    const marks = playlist
      .split('\n')
      .filter((line) => /^segment|^#EXT-X-DISCONTINUITY$/.test(line))
    expect(marks.indexOf('#EXT-X-DISCONTINUITY')).toBe(2)
    expect(marks).toHaveLength(5)
    const dates = [...playlist.matchAll(/DATE-TIME:(.*)/g)].map(([, date]) => Date.parse(date!))
    expect(dates[2]).toBe(resumeMs)
    const video = packetsOf(played, 1).map(({ ptsMs }) => Math.round(ptsMs))
    const stored = packetsOf(session, 1).map(({ ptsMs }) => Math.round(ptsMs))
    expect(video).toEqual([...stored.map((ms) => START + ms), ...stored.map((ms) => resumeMs + ms)])
  })
})

function packetsOf(file: DemuxedFile, trackNumber: number) {
  return file.packets.filter((packet) => packet.trackNumber === trackNumber)
}

async function fetchSegments(): Promise<readonly Buffer[]> {
  const playlist = await (await fetch(`${served.baseUrl}media.m3u8${ALL}`)).text()
  const get = async (uri: string) =>
    Buffer.from(await (await fetch(`${served.baseUrl}${uri}`)).arrayBuffer())
  const init = await get(/#EXT-X-MAP:URI="(.*)"/.exec(playlist)![1]!)
  const segments: Buffer[] = []
  for (const [uri] of playlist.matchAll(/^segment-.*$/gm)) {
    segments.push(Buffer.concat([init, await get(uri)]))
  }
  return segments
}

/** Decode start and end of each track in milliseconds, as mp4box reads them. */
function parseSegment(bytes: Buffer) {
  const file = createFile()
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(whole, 0))
  file.flush()
  return file.getInfo().tracks.map(({ id, type, timescale }) => {
    const samples = file.getTrackSamplesInfo(id)
    const last = samples.at(-1)!
    return {
      type: type ?? '',
      start: samples[0]!.dts / (timescale / 1000),
      end: (last.dts + last.duration) / (timescale / 1000),
      keyFirst: samples[0]!.is_sync,
    }
  })
}

/** Everything that the command prints. */
async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 25_000 })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => (printed += data.toString()))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${printed}`)
  return printed.trim()
}

function ownFixture(name: string): string | null {
  const path = fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url))
  if (existsSync(path)) return path
  console.warn(`skipped: ${path} is not there`)
  return null
}
