import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createFile, MP4BoxBuffer, type Sample as Mp4Sample } from 'mp4box'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { isInstalled } from '../../support/installed.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { decodeAac, errors, mulaw, mulawTone, tone } from '../audio/sound-fixture.ts'
import { GrowingCamera } from '../support/growing-camera.ts'
import { without } from '../support/record.ts'
import { servePlayback, type ServedPlayback } from '../support/serve.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'
import { checkProgress, readPlaylist, type ReadPlaylist } from './read-playlist.ts'

const streamId = toStreamId('camera', 0)
const files = [
  {
    rule: 'H.264 of ten frames a second',
    path: fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url)),
  },
  { rule: 'H.264 with B-frames and AAC', path: sharedMedia('vtest_tiodh.mp4') },
].filter((file): file is { rule: string; path: string } => file.path !== null)

let storage: TemporaryArchive
let served: ServedPlayback
beforeEach(async () => {
  storage = await openTemporaryArchive()
  served = await servePlayback({ archive: storage.archive, streamId })
})
afterEach(async () => {
  await served[Symbol.asyncDispose]()
  await storage[Symbol.asyncDispose]()
})

const get = (uri: string) => fetch(`${served.baseUrl}${uri}`)
const getBytes = async (uri: string) => Buffer.from(await (await get(uri)).arrayBuffer())
const getPlaylist = async (query = '') =>
  readPlaylist(await (await get(`low-latency-media.m3u8${query}`)).text())

async function openCamera(file: DemuxedFile): Promise<GrowingCamera> {
  const startMs = Date.now() - 5000
  return GrowingCamera.open(file, { archive: storage.archive, streamId, startMs })
}

describe.each(files)('$rule', ({ path }) => {
  test('grows part by part, as one reads it who waits for each', async () => {
    const file = await demux(path)
    await using camera = await openCamera(file)
    await camera.store(camera.groups.slice(0, 2))
    let last: ReadPlaylist = await getPlaylist()
    const seen = new Map<string, Buffer>()
    const [, , ...rest] = camera.groups

    for (const group of rest.slice(0, 3)) {
      const sequence = last.segments.at(-1)!.sequence + 1
      const reading = followSegment(sequence)
      camera.begin(group)
      for (const packet of group) camera.write(packet)
      await camera.end()
      const playlists = await reading
      for (const playlist of playlists) {
        checkProgress(last, playlist)
        last = playlist
      }
      const segment = last.segments.find((one) => one.sequence === sequence)!
      for (const { uri } of segment.parts) seen.set(uri, await getBytes(uri))
      expect(segment.parts.length).toBeGreaterThan(1)
      expect(segment.parts[0]!.isIndependent).toBe(true)

      const init = await getBytes(segment.initUri)
      const whole = readSamples(init, [await getBytes(segment.uri!)])
      const parts = readSamples(
        init,
        segment.parts.map(({ uri }) => seen.get(uri)!),
      )
      expect(parts.map(toRow)).toEqual(whole.map(toRow))
      expectOrder(parts)
    }
  })

  /** Every playlist that a player gets that asks for part after part, until the segment is there. */
  async function followSegment(sequence: number): Promise<readonly ReadPlaylist[]> {
    const playlists: ReadPlaylist[] = []
    for (let part = 0; ; part++) {
      const playlist = await getPlaylist(`?_HLS_msn=${sequence}&_HLS_part=${part}`)
      playlists.push(playlist)
      const found = playlist.segments.find((one) => one.sequence === sequence)
      if (found !== undefined && found.uri !== null) return playlists
      expect(found?.parts.length).toBeGreaterThan(part)
    }
  }
})

/** One segment at a time: of several, mp4box believes the first one's time alone. */
function readSamples(init: Buffer, segments: readonly Buffer[]): readonly Mp4Sample[] {
  return segments
    .flatMap((segment) => readSegment(Buffer.concat([init, segment])))
    .toSorted((a, b) => a.track_id - b.track_id)
}

/** The first file with a tone in µ-law in place of its sound. */
async function withMulaw(): Promise<DemuxedFile> {
  const film = without('audio', await demux(files[0]!.path))
  const lastMs = film.packets.at(-1)!.ptsMs
  const sound = mulawTone(0, Math.floor(lastMs / 20))
  const mixed = [...film.packets, ...sound].sort((a, b) => a.dtsMs - b.dtsMs)
  return { tracks: [...film.tracks, mulaw], packets: mixed }
}

test('transcoded sound goes on from segment to part to part', async () => {
  const file = await withMulaw()
  await using camera = await openCamera(file)
  await camera.store(camera.groups.slice(0, 2))
  await getPlaylist()
  await camera.store(camera.groups.slice(2, 4))

  // What is stored at once is there before its parts are cut.
  const partsOfLast = async () => (await getPlaylist()).segments.at(-1)!.parts.length
  await expect.poll(partsOfLast, { timeout: 20_000 }).toBeGreaterThan(1)
  const { segments } = await getPlaylist()

  const [third, fourth] = segments.slice(2)
  const init = await getBytes(fourth!.initUri)
  const soundOf = async (uris: readonly string[]) => {
    const bytes: Buffer[] = []
    for (const uri of uris) bytes.push(await getBytes(uri))
    return readSamples(init, bytes).filter(({ track_id }) => track_id === 2)
  }
  const byParts = await soundOf(fourth!.parts.map(({ uri }) => uri))
  const whole = await soundOf([fourth!.uri!])
  const before = await soundOf([third!.uri!])
  expect(byParts.map(({ cts }) => cts)).toEqual(whole.map(({ cts }) => cts))
  expect(byParts[0]!.cts).toBe(before.at(-1)!.cts + 1024)
  const heard = decodeAac(
    [...before, ...byParts].map(({ data }) => data!),
    16_000,
  )
  const base = before[0]!.cts / 16_000 - camera.startMs / 1000
  const worst = errors(heard, (i) => tone(base + i / 16_000), 64).slice(30)
  expect(Math.max(...worst)).toBeLessThan(0.09)
})

test.skipIf(!isInstalled('ffmpeg', '-version'))('the ffmpeg command plays it', async () => {
  const file = await demux(files[0]!.path)
  await using camera = await openCamera(file)
  await camera.store(camera.groups.slice(0, 2))
  await getPlaylist()
  await camera.store(camera.groups.slice(2, 4))
  const url = `${served.baseUrl}low-latency.m3u8`

  const args = ['-v', 'error', '-i', url, '-t', '3', '-map', '0', '-f', 'null', '-']
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 })
  let complaints = ''
  child.stderr.on('data', (data: Buffer) => (complaints += data.toString()))
  const [code] = (await once(child, 'close')) as [number | null]

  expect({ code, complaints }).toEqual({ code: 0, complaints: '' })
})

function readSegment(bytes: Buffer): readonly Mp4Sample[] {
  const file = createFile()
  const samples: Mp4Sample[] = []
  file.onSamples = (_, __, found) => samples.push(...found)
  file.onReady = (info) => {
    for (const { id } of info.tracks) file.setExtractionOptions(id, null, { nbSamples: 1 })
    file.start()
  }
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(whole, 0))
  file.flush()
  return samples
}

/** What of a sample is the same in a part and in the segment. */
function toRow({ track_id, cts, is_sync, data }: Mp4Sample) {
  return [
    track_id,
    cts,
    is_sync,
    createHash('sha256').update(data!).digest('hex').slice(0, 12),
  ].join(' ')
}

/** Decode times rise within each track, over all parts. */
function expectOrder(samples: readonly Mp4Sample[]): void {
  for (const [i, sample] of samples.entries()) {
    const before = samples[i - 1]
    if (before?.track_id === sample.track_id) expect(sample.dts).toBeGreaterThan(before.dts)
  }
}

describe('requests that wait', () => {
  test.each([
    { rule: 'a part without a segment', query: '?_HLS_part=1', status: 400 },
    { rule: 'no number', query: '?_HLS_msn=x', status: 400 },
    { rule: 'a segment that is far ahead', query: '?_HLS_msn=1000', status: 400 },
  ])('are refused: $rule', async ({ query, status }) => {
    const file = await demux(files[0]!.path)
    await using camera = await openCamera(file)
    await camera.store(camera.groups.slice(0, 2))

    const answer = await get(`low-latency-media.m3u8${query}`)

    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code: 'InvalidPlaylistPosition' })
  })

  test('a part that nobody has hinted at is not there', async () => {
    const file = await demux(files[0]!.path)
    await using camera = await openCamera(file)
    await camera.store(camera.groups.slice(0, 2))
    await getPlaylist()

    expect((await get('part-77-0.m4s')).status).toBe(404)
    expect((await get('part-x.m4s')).status).toBe(404)
  })

  test('a hinted part comes when it is cut, to all who wait', async () => {
    const file = await demux(files[0]!.path)
    await using camera = await openCamera(file)
    const [first, second, third, fourth] = camera.groups
    await camera.store([first!, second!])
    await getPlaylist()
    await camera.store([third!])
    const { hint, segments } = await getPlaylist()
    expect(hint).toBe(`part-${segments.at(-1)!.sequence + 1}-0.m4s`)

    const waiting = [getBytes(hint!), getBytes(hint!)]
    camera.begin(fourth!)
    for (const packet of fourth!) camera.write(packet)
    await camera.end()

    const [one, other] = await Promise.all(waiting)
    expect(one!.length).toBeGreaterThan(100)
    expect(one!.equals(other!)).toBe(true)
  })

  test('end when the service does', async () => {
    const file = await demux(files[0]!.path)
    await using camera = await openCamera(file)
    await camera.store(camera.groups.slice(0, 2))
    const { segments } = await getPlaylist()
    const waiting = get(`low-latency-media.m3u8?_HLS_msn=${segments.at(-1)!.sequence + 1}`)
    await storage.archive.waitAfter(streamId, null, new AbortController().signal)

    const stopping = served[Symbol.asyncDispose]()

    const answer = await waiting.catch(() => null)
    expect(answer === null || answer.status === 503).toBe(true)
    await stopping
    served = await servePlayback({ archive: storage.archive, streamId })
  })

  test('a stream without media is not waited for', async () => {
    const answer = await get('low-latency-media.m3u8?_HLS_msn=0')

    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ code: 'NoMedia' })
  })
})

test('the master playlist names the media playlist, and passes a token on', async () => {
  const file = await demux(files[0]!.path)
  await using camera = await openCamera(file)
  await camera.store(camera.groups.slice(0, 2))

  const master = await (await get('low-latency.m3u8?token=a%26b&x=1')).text()

  expect(master).toMatch(/^low-latency-media\.m3u8\?token=a%26b$/m)
  expect(await (await get('low-latency-media.m3u8?token=t')).text()).toMatch(
    /segment-\d+\.m4s\?token=t/,
  )
})
