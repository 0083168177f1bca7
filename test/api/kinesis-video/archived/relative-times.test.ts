import {
  GetClipCommand,
  GetImagesCommand,
  ListFragmentsCommand,
} from '@aws-sdk/client-kinesis-video-archived-media'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  clusterStart,
  concat,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../../src/media/matroska/writer.ts'
import { demux } from '../../../playback/support/demux.ts'
import { toGroups, without } from '../../../playback/support/record.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { Producer } from '../running-video-api.ts'
import { anHourAgo, film as demuxFilm, runArchivedMedia } from './archived-fixture.ts'

test('media with Timecodes from the producer’s own start is found, clipped and seen', async () => {
  const { port, client } = await runArchivedMedia()
  const film = without('audio', await demuxFilm())
  const start = anHourAgo()
  const clusters = toGroups(film).map((group) => {
    const times = group.map(({ ptsMs }) => Math.round(ptsMs))
    const first = Math.min(...times)
    const blocks = group.flatMap(({ trackNumber, isKey, data }, i) => [
      simpleBlockHead({
        ...{ trackNumber, isKey, relativeMs: times[i]! - first, payloadLength: data.length },
      }),
      data,
    ])
    return concat([clusterStart(first), ...blocks])
  })
  const producer = await Producer.open(port, {
    'x-amzn-fragment-timecode-type': 'RELATIVE',
    'x-amzn-producer-start-timestamp': String(start / 1000),
  })
  producer.end(concat([toMatroskaHeader(film.tracks), ...clusters]))
  await producer.closed
  const range = { StartTimestamp: new Date(start), EndTimestamp: new Date(start + 11_000) }
  const selector = {
    FragmentSelectorType: 'PRODUCER_TIMESTAMP' as const,
    TimestampRange: range,
  }

  const { Fragments } = await client.send(
    new ListFragmentsCommand({ StreamName: 'x', FragmentSelector: selector }),
  )
  const { Images } = await client.send(
    new GetImagesCommand({
      ...{ StreamName: 'x', ImageSelectorType: 'PRODUCER_TIMESTAMP', ...range },
      ...{ Format: 'JPEG', SamplingInterval: 1000 },
    }),
  )
  const { Payload } = await client.send(
    new GetClipCommand({ StreamName: 'x', ClipFragmentSelector: selector }),
  )
  const path = join(await scratchDirectory(), 'clip.mp4')
  writeFileSync(path, await Payload!.transformToByteArray())
  const clip = await demux(path)

  expect(Fragments!.map(({ ProducerTimestamp }) => ProducerTimestamp!.getTime() - start)).toEqual([
    0, 2000, 4000, 6000, 8000, 10_000,
  ])
  expect(Images!.filter(({ Error }) => Error !== undefined)).toEqual([])
  expect(Images).toHaveLength(12)
  expect(clip.packets).toHaveLength(film.packets.length)
  expect(Math.min(...clip.packets.map(({ ptsMs }) => ptsMs))).toBe(0)
})
