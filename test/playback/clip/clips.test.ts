import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { firstGroups, record, without } from '../support/record.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'
import { CLIP_START_MS as START_MS, makeClip, readMp4, shown } from './clip-fixture.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))

let film: DemuxedFile
let temporary: TemporaryArchive
let streams = 0

beforeAll(async () => {
  film = await demux(FIXTURE)
  temporary = await openTemporaryArchive()
})
afterAll(() => temporary[Symbol.asyncDispose]())

const newStream = () => toStreamId(`camera-${++streams}`, 1)

describe('the samples of a clip', () => {
  test.each([
    { name: 'fixture', path: () => FIXTURE },
    { name: 'mediabunny_video.mp4', path: () => sharedMedia('mediabunny_video.mp4') },
    { name: 'mediabunny_video-h265.mp4', path: () => sharedMedia('mediabunny_video-h265.mp4') },
    { name: 'vtest_hevc_aac_15s.mp4', path: () => sharedMedia('vtest_hevc_aac_15s.mp4') },
    { name: 'vtest_tiodh.mp4', path: () => sharedMedia('vtest_tiodh.mp4') },
  ])('$name: are those that were put, at their times', async ({ path }) => {
    const file = path()
    if (file === null) return
    const put = await demux(file)
    const streamId = newStream()
    const stored = await record(put, {
      archive: temporary.archive,
      streamId,
      startMs: START_MS,
    })

    const clip = await makeClip(temporary.archive, streamId)
    const got = await clip.demuxed()

    const from = stored[0]!.producerTimestamp - START_MS
    expect(got.tracks.map(({ codecId, video }) => ({ codecId, video }))).toEqual(
      put.tracks
        .filter(({ codecId }) => codecId !== 'V_UNKNOWN')
        .map(({ codecId, video }) => ({ codecId, video })),
    )
    for (const { kind } of put.tracks) {
      const expected = shown(put, kind as 'video', from)
      const found = shown(got, kind as 'video')
      expect(found.map(({ data }) => data.toString('base64'))).toEqual(
        expected.map(({ data }) => data.toString('base64')),
      )
      expect(found.map(({ isKey }) => isKey)).toEqual(expected.map(({ isKey }) => isKey))
      for (const [i, { ptsMs }] of found.entries()) {
        expect(Math.abs(ptsMs - expected[i]!.ptsMs)).toBeLessThanOrEqual(1.5)
      }
    }
  })
})

describe('a clip', () => {
  test('declares its length, when it was filmed and where its key samples are', async () => {
    const streamId = newStream()
    const stored = await record(film, { archive: temporary.archive, streamId, startMs: START_MS })

    const clip = await makeClip(temporary.archive, streamId)
    const { boxes, moov, mfra } = readMp4(clip.bytes) as unknown as Record<string, never>
    const box = moov as unknown as {
      mvhd: { duration: number; timescale: number; creation_time: number }
      mvex: { mehd: { fragment_duration: number } }
      traks: {
        tkhd: { duration: number }
        mdia: { mdhd: { duration: number; timescale: number } }
      }[]
    }

    const last = stored.at(-1)!
    const lengthMs = last.producerTimestamp + last.durationMs - stored[0]!.producerTimestamp
    expect(clip.durationMs).toBe(lengthMs)
    expect(box.mvhd).toMatchObject({ duration: lengthMs, timescale: 1000 })
    expect(box.mvex.mehd.fragment_duration).toBe(lengthMs)
    for (const { tkhd, mdia } of box.traks) {
      expect(tkhd.duration).toBe(lengthMs)
      expect(Math.abs((mdia.mdhd.duration / mdia.mdhd.timescale) * 1000 - lengthMs)).toBeLessThan(1)
    }
    expect(box.mvhd.creation_time - 2_082_844_800).toBe(
      Math.floor(stored[0]!.producerTimestamp / 1000),
    )
    const types = (boxes as unknown as { type: string }[]).map(({ type }) => type)
    expect(types).toEqual([
      'ftyp',
      'moov',
      ...stored.flatMap(() => ['prft', 'moof', 'mdat']),
      'mfra',
    ])
    expect(mfra).toBeDefined()
    const entries = readRandomAccess(clip.bytes)
    expect(entries).toHaveLength(stored.length)
    for (const { moofOffset } of entries) {
      expect(clip.bytes.toString('latin1', moofOffset + 4, moofOffset + 8)).toBe('moof')
    }
  })

  test.each([
    { rule: 'both ends belong to it', from: 0, to: 4000, fragments: 3 },
    { rule: 'what only reaches in does not', from: 1, to: 3999, fragments: 1 },
  ])('$rule', async ({ from, to, fragments }) => {
    const streamId = newStream()
    const video = without('audio', film)
    await record(video, { archive: temporary.archive, streamId, startMs: START_MS })

    const clip = await makeClip(temporary.archive, streamId, {
      from: START_MS + from,
      to: START_MS + to,
    })

    const { packets } = await clip.demuxed()
    expect(packets.filter(({ isKey }) => isKey)).toHaveLength(fragments)
    expect(clip.durationMs).toBe(fragments * 2000)
  })

  test.each([
    { limits: { maxFragments: 2, maxBytes: null }, fragments: 2 },
    { limits: { maxFragments: null, maxBytes: 1 }, fragments: 1 },
  ])('ends where $limits say', async ({ limits, fragments }) => {
    const streamId = newStream()
    await record(without('audio', film), {
      archive: temporary.archive,
      streamId,
      startMs: START_MS,
    })

    const clip = await makeClip(temporary.archive, streamId, {}, { limits })

    expect(clip.durationMs).toBe(fragments * 2000)
    expect((await clip.demuxed()).packets.filter(({ isKey }) => isKey)).toHaveLength(fragments)
  })

  test('closes gaps and overlaps up, and stretches nothing', async () => {
    const streamId = newStream()
    const two = firstGroups(without('audio', film), 2)
    const { archive } = temporary
    await record(two, { archive, streamId, startMs: START_MS })
    await record(two, { archive, streamId, startMs: START_MS + 3_600_000 })
    await record(two, { archive, streamId, startMs: START_MS + 3_601_000 })

    const clip = await makeClip(archive, streamId)
    const { packets } = await clip.demuxed()

    expect(clip.durationMs).toBe(12_000)
    const times = packets.map(({ ptsMs }) => ptsMs).sort((a, b) => a - b)
    const steps = times.slice(1).map((time, i) => time - times[i]!)
    expect(Math.max(...steps)).toBeLessThan(70)
    expect(Math.min(...steps)).toBeGreaterThan(60)
    expect(packets).toHaveLength(6 * 30)
  })

  test('takes no more memory for a long range: a part is a fragment', async () => {
    const streamId = newStream()
    await record(film, { archive: temporary.archive, streamId, startMs: START_MS })

    const { bytes, largestPart } = await makeClip(temporary.archive, streamId)

    expect(largestPart).toBeLessThan(bytes.length / 3)
  })
})

/** The entries of the only `tfra`, version 1 with one byte for each number. */
function readRandomAccess(bytes: Buffer): readonly { time: number; moofOffset: number }[] {
  const mfraBytes = bytes.readUInt32BE(bytes.length - 4)
  const tfra = bytes.length - mfraBytes + 8
  const count = bytes.readUInt32BE(tfra + 20)
  return Array.from({ length: count }, (_, i) => {
    const at = tfra + 24 + i * 19
    return {
      time: Number(bytes.readBigUInt64BE(at)),
      moofOffset: Number(bytes.readBigUInt64BE(at + 8)),
    }
  })
}
