import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { toStreamId } from '../../../src/domain/stream.ts'
import { CODEC_AAC, CODEC_ACM, type Track } from '../../../src/domain/track.ts'
import { toWaveFormatEx, WAVE_FORMAT } from '../../../src/media/pcm/wave-format.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { createPlayableAudio } from '../../../src/playback/index.ts'
import { untilTestEnds } from '../../support/scratch.ts'
import { decodeAac, packets as soundPackets, tone } from '../audio/sound-fixture.ts'
import { demux } from '../support/demux.ts'
import { record, without } from '../support/record.ts'
import { openTemporaryArchive } from '../support/temporary-archive.ts'
import { CLIP_START_MS as START_MS, makeClip, shown } from './clip-fixture.ts'

const FIXTURE = fileURLToPath(new URL('../../../fixtures/moving-shapes.mp4', import.meta.url))
const CAMERA = toStreamId('camera', 1)

const G711: Track = {
  ...{ number: 2, kind: 'audio', codecId: CODEC_ACM, timescale: 1000, video: null },
  codecPrivate: toWaveFormatEx({
    ...{ tag: WAVE_FORMAT.mulaw, channels: 1, sampleRateHz: 8000, bitsPerSample: 8 },
  }),
  audio: { sampleRateHz: 8000, channels: 1 },
}

test('G.711 is AAC in a clip, without a hole, from its first fragment to its end', async () => {
  const video = without('audio', await demux(FIXTURE))
  const sound = soundPackets(tone, { startMs: 0, count: 600 }).map(({ ptsMs, data }) => ({
    ...{ trackNumber: 2, ptsMs, dtsMs: ptsMs, durationMs: 20, isKey: true, data },
  }))
  const packets = [...video.packets, ...sound].sort((a, b) => a.dtsMs - b.dtsMs)
  const { archive } = untilTestEnds(await openTemporaryArchive())
  await record(
    { tracks: [...video.tracks, G711], packets },
    { archive, streamId: CAMERA, startMs: START_MS },
  )
  const source = untilTestEnds(createPlayableAudio({ archive, metrics: createMetrics() }))

  const clip = await makeClip(archive, CAMERA, { from: START_MS + 1900 }, { source })
  const file = await clip.demuxed()

  expect(file.tracks.map(({ codecId, audio }) => [codecId, audio?.sampleRateHz])).toEqual([
    ['V_MPEG4/ISO/AVC', undefined],
    [CODEC_AAC, 16_000],
  ])
  const heard = shown(file, 'audio')
  const blockMs = 64 // 1024 samples
  expect(heard[0]!.ptsMs).toBeGreaterThanOrEqual(0)
  expect(heard[0]!.ptsMs).toBeLessThan(blockMs)
  for (const [i, { ptsMs }] of heard.slice(1).entries()) {
    expect(Math.abs(ptsMs - heard[i]!.ptsMs - blockMs)).toBeLessThan(1)
  }
  const endMs = heard.at(-1)!.ptsMs + blockMs
  expect(endMs).toBeLessThanOrEqual(clip.durationMs + blockMs)
  expect(endMs).toBeGreaterThan(clip.durationMs - 500)
  const waves = decodeAac(
    heard.map(({ data }) => data),
    16_000,
  )
  const loudest = (from: number) => Math.max(...waves.subarray(from, from + 1600))
  for (let at = 4096; at < waves.length - 4096; at += 16_000) {
    expect(loudest(at)).toBeGreaterThan(0.4)
    expect(loudest(at)).toBeLessThan(0.6)
  }
})
