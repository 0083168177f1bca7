import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Archive } from '../../../src/archive/index.ts'
import { CODEC_PCM_BIG_ENDIAN, type Track } from '../../../src/domain/track.ts'
import { toStreamId } from '../../../src/domain/stream.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { record } from '../support/record.ts'
import { servePlayback, type ServedPlayback } from '../support/serve.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'
import { decodeAac, errors, mulaw, mulawTone, tone } from './sound-fixture.ts'

const streamId = toStreamId('camera', 0)
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const SECONDS = 24
const ALL = `?from=${START}&to=${START + 3600_000}`

let storage: TemporaryArchive
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

const get = async (uri: string) =>
  Buffer.from(await (await fetch(`${served.baseUrl}${uri}`)).arrayBuffer())
const segmentsOf = (playlist: string) =>
  [...playlist.matchAll(/^segment-.*$/gm)].map(([uri]) => uri)

describe('a tone in µ-law', () => {
  test('is heard in HLS over all fragments, in its place', async () => {
    // A second each, as a recording of sound alone is cut.
    const file: DemuxedFile = { tracks: [mulaw], packets: mulawTone(START, SECONDS * 50) }
    const fragments = await record(file, { archive, streamId, startMs: START })

    const master = (await get(`master.m3u8${ALL}`)).toString()
    const played = await demux(`${served.baseUrl}master.m3u8${ALL}`)

    expect(fragments.length).toBeGreaterThanOrEqual(20)
    expect(master).toContain('CODECS="mp4a.40.2"')
    expect(played.tracks.map(({ audio }) => audio)).toEqual([{ sampleRateHz: 16_000, channels: 1 }])
    const heard = decodeAac(
      played.packets.map(({ data }) => data),
      16_000,
    )
    for (const [i, { ptsMs }] of played.packets.entries()) {
      expect(Math.abs(ptsMs - played.packets[0]!.ptsMs - i * 64)).toBeLessThan(0.1)
    }
    const startMs = played.packets[0]!.ptsMs
    expect(Math.abs(startMs - START)).toBeLessThan(64)
    const worst = errors(heard, (i) => tone(startMs / 1000 + i / 16_000), 64).slice(75)
    expect(Math.max(...worst)).toBeLessThan(0.09)
    expect(heard.length / 16_000).toBeGreaterThan(SECONDS - 0.4)
  })

  test('is the same in whatever order it is asked for, and after a restart', async () => {
    await record(
      { tracks: [mulaw], packets: mulawTone(START, 300) },
      { archive, streamId, startMs: START },
    )
    const uris = segmentsOf((await get(`media.m3u8${ALL}`)).toString())
    const forward: Buffer[] = []
    for (const uri of uris) forward.push(await get(uri))

    await using other = await servePlayback({ archive, streamId })
    const backward: Buffer[] = []
    for (const uri of uris.toReversed()) {
      backward.unshift(Buffer.from(await (await fetch(`${other.baseUrl}${uri}`)).arrayBuffer()))
    }

    expect(uris.length).toBeGreaterThan(4)
    expect(backward.every((bytes, i) => bytes.equals(forward[i]!))).toBe(true)
  })

  test('many who ask at once share one transcoding', async () => {
    await record(
      { tracks: [mulaw], packets: mulawTone(START, 100) },
      { archive, streamId, startMs: START },
    )
    const [uri] = segmentsOf((await get(`media.m3u8${ALL}`)).toString())

    const answers = await Promise.all(Array.from({ length: 20 }, () => get(uri!)))

    expect(new Set(answers.map((bytes) => bytes.toString('base64'))).size).toBe(1)
    const seconds = await served.metrics.playbackTranscodedSeconds.get()
    expect(seconds.values[0]!.value).toBeLessThan(1.2)
  })
})

describe('sound that cannot be decoded', () => {
  test('is silent, and the pictures play', async () => {
    const flac: Track = { ...mulaw, codecId: 'A_FLAC', codecPrivate: new Uint8Array(0) }
    const file: DemuxedFile = { tracks: [flac], packets: mulawTone(START, 100) }
    await record(file, { archive, streamId, startMs: START })

    const played = await demux(`${served.baseUrl}master.m3u8${ALL}`)

    const heard = decodeAac(
      played.packets.map(({ data }) => data),
      16_000,
    )
    expect(Math.max(...heard.map(Math.abs))).toBeLessThan(0.001)
    const failures = await served.metrics.playbackTranscodeFailures.get()
    expect(failures.values.length).toBe(1)
  })
})

test('L16 of 44.1 kHz keeps its rate', async () => {
  const rateHz = 44_100
  const l16: Track = {
    ...mulaw,
    codecId: CODEC_PCM_BIG_ENDIAN,
    codecPrivate: new Uint8Array(0),
    audio: { sampleRateHz: rateHz, channels: 1, bitDepth: 16 },
  }
  const perPacket = 441
  const file: DemuxedFile = {
    tracks: [l16],
    packets: Array.from({ length: 400 }, (_, i) => {
      const data = Buffer.alloc(2 * perPacket)
      for (let k = 0; k < perPacket; k++) {
        data.writeInt16BE(Math.round(tone((i * perPacket + k) / rateHz) * 32_767), 2 * k)
      }
      return { trackNumber: 2, ptsMs: i * 10, dtsMs: i * 10, durationMs: 10, isKey: true, data }
    }),
  }
  await record(file, { archive, streamId, startMs: START })

  const played = await demux(`${served.baseUrl}master.m3u8${ALL}`)

  expect(played.tracks[0]!.audio).toEqual({ sampleRateHz: rateHz, channels: 1 })
  const heard = decodeAac(
    played.packets.map(({ data }) => data),
    rateHz,
  )
  const offset = (played.packets[0]!.ptsMs - START) / 1000
  const worst = errors(heard, (i) => tone(offset + i / rateHz), 64).slice(100)
  expect(Math.max(...worst)).toBeLessThan(0.08)
})
