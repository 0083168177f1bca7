import {
  GetImagesCommand,
  paginateGetImages,
  type GetImagesCommandInput,
  type Image,
} from '@aws-sdk/client-kinesis-video-archived-media'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { toRgb24, VideoDecoder } from '../../../../src/platform/av.ts'
import type { DemuxedFile } from '../../../playback/support/demux.ts'
import { firstGroups, without } from '../../../playback/support/record.ts'
import { anHourAgo, film as demuxFilm, refusal, runArchivedMedia } from './archived-fixture.ts'

let film: DemuxedFile

beforeAll(async () => {
  film = await demuxFilm()
})

const question = (change: Partial<GetImagesCommandInput> = {}): GetImagesCommandInput => ({
  StreamName: 'x',
  ImageSelectorType: 'PRODUCER_TIMESTAMP',
  StartTimestamp: new Date(0),
  EndTimestamp: new Date(0),
  Format: 'PNG',
  ...change,
})

/** The film from an hour ago on, and how to ask for images of it by offsets from its start. */
async function runFilmed(files: readonly { file: DemuxedFile; atMs: number }[]) {
  const running = await runArchivedMedia()
  const start = anHourAgo()
  for (const { file, atMs } of files) await running.store(file, start + atMs)
  const ask = (fromMs: number, toMs: number, change: Partial<GetImagesCommandInput> = {}) =>
    running.client.send(
      new GetImagesCommand(
        question({
          StartTimestamp: new Date(start + fromMs),
          EndTimestamp: new Date(start + toMs),
          ...change,
        }),
      ),
    )
  return { ...running, start, ask }
}

/** The pixels of all frames by decoding the whole film, by their times in it. */
function decodeAll({ tracks, packets }: DemuxedFile) {
  const track = tracks.find(({ kind }) => kind === 'video')!
  using decoder = new VideoDecoder(track)
  const samples = packets
    .filter(({ trackNumber }) => trackNumber === track.number)
    .map(({ ptsMs, isKey, data }) => ({ ptsMs: Math.round(ptsMs), isKey, data }))
  const frames: { ptsMs: number; pixels: Uint8Array }[] = []
  for (const { ptsMs, picture } of decoder.decode(samples)) {
    frames.push({ ptsMs, pixels: toRgb24(picture).bytes })
  }
  return frames
}

const bytesOf = ({ ImageContent }: Image) => Buffer.from(ImageContent!, 'base64')
const pixelsOf = (image: Image) => sharp(bytesOf(image)).removeAlpha().raw().toBuffer()

describe('GetImages', () => {
  test('gives the frame at or before each instant, to the pixel', async () => {
    const { start, ask } = await runFilmed([{ file: film, atMs: 0 }])
    const frames = decodeAll(film)

    const { Images, NextToken } = await ask(10, 11_000, { SamplingInterval: 500 })

    expect(NextToken).toBeUndefined()
    expect(Images!.map(({ TimeStamp }) => TimeStamp!.getTime() - start)).toEqual(
      Array.from({ length: 22 }, (_, i) => 10 + 500 * i),
    )
    for (const image of Images!) {
      const atMs = image.TimeStamp!.getTime() - start
      const expected = frames.findLast(({ ptsMs }) => ptsMs <= atMs)!
      expect((await pixelsOf(image)).equals(expected.pixels), `at ${atMs} ms`).toBe(true)
    }
  })

  test('pages', async () => {
    const { client, start } = await runFilmed([{ file: without('audio', film), atMs: 0 }])
    const pages: number[] = []
    const times: number[] = []

    for await (const { Images } of paginateGetImages(
      { client },
      question({
        StartTimestamp: new Date(start),
        EndTimestamp: new Date(start + 11_900),
        SamplingInterval: 200,
        Format: 'JPEG',
        WidthPixels: 32,
      }),
    )) {
      pages.push(Images!.length)
      for (const { TimeStamp, Error } of Images!) {
        times.push(TimeStamp!.getTime() - start)
        expect(Error).toBeUndefined()
      }
    }

    expect(pages).toEqual([25, 25, 10])
    expect(times).toEqual(Array.from({ length: 60 }, (_, i) => i * 200))
  })

  test('by the server clock, while media arrived', async () => {
    const { start, ask } = await runFilmed([{ file: film, atMs: 0 }])
    const frames = decodeAll(film)

    const { Images } = await ask(3000, 3000, { ImageSelectorType: 'SERVER_TIMESTAMP' })

    const expected = frames.findLast(({ ptsMs }) => ptsMs <= 3000)!
    expect(Images).toHaveLength(1)
    expect(Images![0]!.TimeStamp!.getTime()).toBe(start + 3000)
    expect((await pixelsOf(Images![0]!)).equals(expected.pixels)).toBe(true)
  })

  test('the image at the start, when the interval is longer than the range, or sound is ahead', async () => {
    const { ask } = await runFilmed([{ file: film, atMs: 0 }])

    const short = await ask(0, 2999, { SamplingInterval: 3000 })
    const soundAlone = await ask(-20, -20)

    expect(short.Images!.map(({ Error }) => Error)).toEqual([undefined])
    expect(soundAlone.Images!.map(({ Error }) => Error)).toEqual([undefined])
  })

  test('a frame a second, and one in five: an image at every instant', async () => {
    const { tracks, packets } = without('audio', film)
    const sparse = {
      tracks,
      packets: packets
        .filter(({ isKey }) => isKey)
        .map((packet, i) => ({ ...packet, ptsMs: i * 5000, durationMs: 40 })),
    }
    const { ask } = await runFilmed([{ file: sparse, atMs: 0 }])

    const { Images } = await ask(0, 20_000, { SamplingInterval: 1000 })

    expect(Images).toHaveLength(21)
    expect(Images!.filter(({ Error }) => Error !== undefined)).toEqual([])
  })

  test('NO_MEDIA where there is none, and only there', async () => {
    const one = firstGroups(without('audio', film), 1)
    const { ask } = await runFilmed([
      { file: one, atMs: 0 },
      { file: one, atMs: 10_000 },
    ])

    const { Images } = await ask(-2000, 14_000, { SamplingInterval: 2000 })

    expect(Images!.map(({ Error }) => Error ?? 'image')).toEqual([
      'NO_MEDIA',
      'image',
      'image', // at its very end
      'NO_MEDIA',
      'NO_MEDIA',
      'NO_MEDIA',
      'image',
      'image',
      'NO_MEDIA',
    ])
  })

  test('MEDIA_ERROR where there is sound alone, or what cannot be decoded', async () => {
    const noise = {
      ...film,
      packets: film.packets.map((packet) => ({
        ...packet,
        data: packet.data.map((b) => b ^ 0x5a),
      })),
    }
    const { ask } = await runFilmed([
      { file: without('video', film), atMs: 0 },
      { file: noise, atMs: 60_000 },
    ])

    const sound = await ask(1000, 3000, { SamplingInterval: 1000 })
    const broken = await ask(61_000, 64_000, { SamplingInterval: 1000 })

    expect(sound.Images!.map(({ Error }) => Error)).toEqual(new Array(3).fill('MEDIA_ERROR'))
    expect(broken.Images!.map(({ Error }) => Error)).toEqual(new Array(4).fill('MEDIA_ERROR'))
  })

  test.each([
    { input: {}, is: { format: 'png', width: 640, height: 360 } },
    { input: { Format: 'JPEG' }, is: { format: 'jpeg', width: 640, height: 360 } },
    { input: { WidthPixels: 320, HeightPixels: 320 }, is: { width: 320, height: 320 } },
    { input: { WidthPixels: 1280 }, is: { width: 1280, height: 720 } },
    { input: { HeightPixels: 90 }, is: { width: 160, height: 90 } },
  ] as const)('$input: $is', async ({ input, is }) => {
    const { ask } = await runFilmed([{ file: firstGroups(film, 1), atMs: 0 }])

    const { Images } = await ask(500, 500, input)

    expect(await sharp(bytesOf(Images![0]!)).metadata()).toMatchObject(is)
  })

  test('a lower quality costs fewer bytes', async () => {
    const { ask } = await runFilmed([{ file: firstGroups(film, 1), atMs: 0 }])
    const sizeOf = async (JPEGQuality: string) => {
      const { Images } = await ask(500, 500, { Format: 'JPEG', FormatConfig: { JPEGQuality } })
      return bytesOf(Images![0]!).length
    }

    expect(await sizeOf('10')).toBeLessThan(await sizeOf('80'))
    expect(await sizeOf('80')).toBeLessThan(await sizeOf('100'))
  })

  test.each([
    {
      rule: 'a range of over 300 s',
      input: { EndTimestamp: new Date(300_001) },
      message: /300 seconds/,
    },
    { rule: 'an end before the start', input: { EndTimestamp: new Date(-1) }, message: /earlier/ },
    {
      rule: 'an interval under 200 ms',
      input: { SamplingInterval: 199 },
      message: /200 milliseconds/,
    },
    {
      rule: 'a quality of nothing',
      input: { FormatConfig: { JPEGQuality: '0' } },
      message: /1 to 100/,
    },
    {
      rule: 'a quality that is no number',
      input: { FormatConfig: { JPEGQuality: 'x' } },
      message: /1 to 100/,
    },
    { rule: 'a width beyond 4K', input: { WidthPixels: 3841 }, message: /widthPixels.*3840/ },
    { rule: 'a height beyond 4K', input: { HeightPixels: 2161 }, message: /heightPixels.*2160/ },
    { rule: 'too many results', input: { MaxResults: 101 }, message: /maxResults.*100/ },
    {
      rule: 'a format of its own',
      input: { Format: 'WEBP' as never },
      message: /format.*JPEG, PNG/,
    },
    { rule: 'a token that is none', input: { NextToken: 'AAAA' }, message: /NextToken/ },
  ])('$rule is refused', async ({ input, message }) => {
    const { client } = await runArchivedMedia()

    const refused = await refusal(client.send(new GetImagesCommand(question(input))))

    expect(refused).toMatchObject({ name: 'InvalidArgumentException', status: 400 })
    expect(refused.message).toMatch(message)
  })

  test('a stream without an archive: NoDataRetentionException', async () => {
    const { client, registry } = await runArchivedMedia()
    await registry.update('x', { retentionHours: 0 })

    expect(await refusal(client.send(new GetImagesCommand(question())))).toMatchObject({
      name: 'NoDataRetentionException',
      status: 400,
    })
  })
})
