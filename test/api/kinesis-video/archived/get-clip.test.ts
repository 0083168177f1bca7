import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GetClipCommand } from '@aws-sdk/client-kinesis-video-archived-media'
import { describe, expect, test } from 'vitest'
import { CallLimit } from '../../../../src/api/kinesis-video/index.ts'
import { demux } from '../../../playback/support/demux.ts'
import { firstGroups, without } from '../../../playback/support/record.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { anHourAgo, film, refusal, runArchivedMedia } from './archived-fixture.ts'

type Clock = 'PRODUCER_TIMESTAMP' | 'SERVER_TIMESTAMP'

const selector = (from: number, to: number, by: Clock = 'PRODUCER_TIMESTAMP') => ({
  FragmentSelectorType: by,
  TimestampRange: { StartTimestamp: new Date(from), EndTimestamp: new Date(to) },
})

async function runStored(limit?: CallLimit) {
  const running = await runArchivedMedia(limit)
  const start = anHourAgo()
  const stored = await running.store(await film(), start)
  const getClip = (from: number, to: number, by?: Clock) =>
    running.client.send(
      new GetClipCommand({
        StreamName: 'x',
        ClipFragmentSelector: selector(start + from, start + to, by),
      }),
    )
  return { ...running, start, stored, getClip }
}

async function demuxed(bytes: Uint8Array) {
  const path = join(await scratchDirectory(), 'clip.mp4')
  writeFileSync(path, bytes)
  return demux(path)
}

describe('GetClip', () => {
  test.each<Clock>(['PRODUCER_TIMESTAMP', 'SERVER_TIMESTAMP'])(
    'gives the fragments that begin in the range as an MP4, by %s',
    async (by) => {
      const { getClip, stored, observed } = await runStored()

      const { Payload, ContentType } = await getClip(1000, 5000, by)
      const { tracks, packets } = await demuxed(await Payload!.transformToByteArray())

      const wanted = stored.slice(1, 3)
      const samples = wanted.reduce((sum, { sampleCount }) => sum + sampleCount, 0)
      expect(ContentType).toBe('video/mp4')
      expect(tracks.map(({ codecId }) => codecId)).toEqual(['V_MPEG4/ISO/AVC', 'A_AAC'])
      expect(packets).toHaveLength(samples)
      const counted = await observed.metrics.registry.metrics()
      for (const line of [
        `kinora_playback_calls_total{operation="GetClip",stream="x",outcome="success"} 1`,
        `kinora_playback_sent_fragments_total{stream="x",format="mp4"} 2`,
        `kinora_playback_sent_frames_total{stream="x",format="mp4"} ${samples}`,
        `kinora_playback_archived_fragments_consumed_total{stream="x",bucket="media"} 2`,
      ]) {
        expect(counted).toContain(line)
      }
    },
  )

  test('goes on behind a fragment that is damaged, and says so', async () => {
    const { directory, archive, stored, getClip, event } = await runStored()
    const chunk = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('.mkv'),
    )!
    await archive[Symbol.asyncDispose]() // so that the chunk is finished
    const media = readFileSync(join(directory, chunk))
    media.fill(0xff, stored[2]!.place.offset, stored[2]!.place.offset + 64)
    writeFileSync(join(directory, chunk), media)

    const { Payload } = await getClip(-1000, 20_000)
    const { packets } = await demuxed(await Payload!.transformToByteArray())

    const others = stored.filter((_, i) => i !== 2)
    expect(packets).toHaveLength(others.reduce((sum, { sampleCount }) => sum + sampleCount, 0))
    await event('clipFragmentLeftOut', { fragmentNumber: stored[2]!.fragmentNumber })
  })

  test('a reader that is gone gives its place to the next', async () => {
    const { getClip } = await runStored(new CallLimit(1))
    const { Payload } = await getClip(-1000, 20_000)
    ;(Payload as unknown as { destroy: () => void }).destroy()

    await expect
      .poll(async () => (await getClip(-1000, 20_000)).Payload!.transformToByteArray(), {
        timeout: 30_000,
      })
      .toBeDefined()
  })

  test.each([
    { rule: 'no end', from: 1000, to: 1000, message: /later than the StartTimestamp/ },
    { rule: 'more than a day', from: 0, to: 86_400_001, message: /within 24 hours/ },
    {
      rule: 'an end in the future by the server clock',
      from: 0,
      to: 86_400_000,
      by: 'SERVER_TIMESTAMP' as const,
      message: /in the past/,
    },
  ])('$rule is refused', async ({ from, to, by, message }) => {
    const { getClip } = await runStored()

    const refused = await refusal(getClip(from, to, by))

    expect(refused).toMatchObject({ name: 'InvalidArgumentException', status: 400 })
    expect(refused.message).toMatch(message)
  })

  test('nothing in the range: ResourceNotFoundException', async () => {
    const { getClip } = await runStored()

    expect(await refusal(getClip(60_000, 70_000))).toMatchObject({
      name: 'ResourceNotFoundException',
      status: 404,
    })
  })

  test('sound alone: UnsupportedStreamMediaTypeException', async () => {
    const { client, store } = await runArchivedMedia()
    const start = anHourAgo()
    await store(firstGroups(without('video', await film()), 1), start)

    expect(
      await refusal(
        client.send(
          new GetClipCommand({
            StreamName: 'x',
            ClipFragmentSelector: selector(start - 1000, start + 9000),
          }),
        ),
      ),
    ).toMatchObject({ name: 'UnsupportedStreamMediaTypeException', status: 400 })
  })

  test('a stream without an archive: NoDataRetentionException', async () => {
    const { getClip, registry } = await runStored()
    await registry.update('x', { retentionHours: 0 })

    expect(await refusal(getClip(0, 1000))).toMatchObject({
      name: 'NoDataRetentionException',
      status: 400,
    })
  })
})
