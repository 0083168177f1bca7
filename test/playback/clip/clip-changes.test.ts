import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { CODEC_MJPEG, type Track } from '../../../src/domain/track.ts'
import { isInstalled } from '../../support/installed.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { demux, type DemuxedFile } from '../support/demux.ts'
import { firstGroups, record, without } from '../support/record.ts'
import { openTemporaryArchive, type TemporaryArchive } from '../support/temporary-archive.ts'
import { CLIP_START_MS as START_MS, makeClip, readMp4 } from './clip-fixture.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const MINUTE_MS = 60_000

let film: DemuxedFile
let temporary: TemporaryArchive
let streams = 0

beforeAll(async () => {
  film = await demux(FIXTURE)
  temporary = await openTemporaryArchive()
})
afterAll(() => temporary[Symbol.asyncDispose]())

const newStream = () => toStreamId(`camera-${++streams}`, 1)

/** Stores films one after the other, a minute apart. */
async function storeInTurn(films: readonly DemuxedFile[]) {
  const streamId = newStream()
  for (const [i, each] of films.entries()) {
    await record(each, {
      archive: temporary.archive,
      streamId,
      startMs: START_MS + i * MINUTE_MS,
    })
  }
  return streamId
}

const withFfprobe = describe.skipIf(!isInstalled('ffprobe', '-version'))

/** Sizes of the pictures that the FFmpeg program decodes from a place on, in order. */
function decodedSizes(path: string, fromS = 0): readonly string[] {
  const { stdout, stderr } = spawnSync(
    'ffprobe',
    // prettier-ignore
    ['-v', 'error', '-read_intervals', `${fromS}`, '-select_streams', 'v', '-show_entries',
     'frame=width,height', '-of', 'csv=p=0:s=x', path],
    { encoding: 'utf8' },
  )
  expect(stderr).toBe('')
  return stdout.match(/\d+x\d+/g) ?? []
}

withFfprobe('where the parameter sets change, FFmpeg', () => {
  const other = sharedMedia('mediabunny_video.mp4')

  test.skipIf(other === null)('decodes all of it, and from any place', async () => {
    const small = firstGroups(without('audio', film), 2)
    const large = firstGroups(without('audio', await demux(other!)), 1)
    const streamId = await storeInTurn([small, large, small])

    const clip = await makeClip(temporary.archive, streamId)
    const path = await clip.path()
    const sizeOf = ({ tracks: [track] }: DemuxedFile) =>
      `${track!.video!.widthPx}x${track!.video!.heightPx}`

    const sizes = decodedSizes(path)
    const runs = sizes.filter((size, i) => size !== sizes[i - 1])
    expect(runs).toEqual([sizeOf(small), sizeOf(large), sizeOf(small)])
    expect(sizes).toHaveLength(2 * small.packets.length + large.packets.length)
    // The last film is sought, with the one before it never read.
    expect(new Set(decodedSizes(path, clip.durationMs / 1000 - 1.9))).toEqual(
      new Set([sizeOf(small)]),
    )
    const { moov } = readMp4(clip.bytes) as unknown as {
      moov: { traks: { mdia: { minf: { stbl: { stsd: { entries: unknown[] } } } } }[] }
    }
    expect(moov.traks[0]!.mdia.minf.stbl.stsd.entries).toHaveLength(2)
  })
})

describe('sound', () => {
  test('that comes and goes is where it was', async () => {
    const silent = firstGroups(without('audio', film), 1)
    const loud = firstGroups(film, 1)
    const streamId = await storeInTurn([silent, loud])

    const { tracks, packets } = await (await makeClip(temporary.archive, streamId)).demuxed()

    const audio = tracks.find(({ kind }) => kind === 'audio')!
    const times = packets
      .filter(({ trackNumber }) => trackNumber === audio.number)
      .map(({ ptsMs }) => ptsMs)
    expect(times[0]).toBeGreaterThanOrEqual(1990)
    expect(times.length).toBeGreaterThan(40)
  })
})

describe('a range that cannot be one clip', () => {
  const withVideo = (change: Partial<Track>): DemuxedFile => {
    const video = firstGroups(without('audio', film), 1)
    return { ...video, tracks: [{ ...video.tracks[0]!, ...change }] }
  }

  test.each([
    {
      rule: 'no codec private data',
      films: () => [withVideo({ codecPrivate: new Uint8Array(0) })],
      code: 'MissingCodecPrivateDataException',
    },
    {
      rule: 'codec private data that is none',
      films: () => [withVideo({ codecPrivate: Uint8Array.of(1, 2, 3) })],
      code: 'InvalidCodecPrivateDataException',
    },
    {
      rule: 'another codec',
      films: () => [withVideo({ codecId: CODEC_MJPEG })],
      code: 'UnsupportedStreamMediaTypeException',
    },
    {
      rule: 'sound alone',
      films: () => [without('video', film)],
      code: 'UnsupportedStreamMediaTypeException',
    },
    {
      rule: 'frames that are not length-prefixed',
      films: () => {
        const { tracks, packets } = withVideo({})
        const data = Uint8Array.of(0, 0, 0, 1, 0x65, 1, 2, 3)
        return [{ tracks, packets: packets.map((packet) => ({ ...packet, data })) }]
      },
      code: 'InvalidMediaFrameException',
    },
    { rule: 'nothing at all', films: () => [], code: 'NoMedia' },
  ])('$rule: $code', async ({ films, code }) => {
    const streamId = await storeInTurn(films())

    await expect(makeClip(temporary.archive, streamId)).rejects.toMatchObject({ code })
  })

  test('a codec that changes: it says when', async () => {
    const hevc = sharedMedia('mediabunny_video-h265.mp4')
    if (hevc === null) return
    const streamId = await storeInTurn([
      firstGroups(without('audio', film), 1),
      firstGroups(without('audio', await demux(hevc)), 1),
    ])

    await expect(makeClip(temporary.archive, streamId)).rejects.toMatchObject({
      code: 'UnsupportedStreamMediaTypeException',
      message: expect.stringContaining(
        new Date(START_MS + MINUTE_MS).toISOString(),
      ) as unknown as string,
    })
  })

  test('a part without video is left out', async () => {
    const one = firstGroups(without('audio', film), 1)
    const streamId = await storeInTurn([one, without('video', film), one])

    const clip = await makeClip(temporary.archive, streamId)

    expect(clip.durationMs).toBe(4000)
    expect((await clip.demuxed()).packets).toHaveLength(2 * one.packets.length)
  })
})
