import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { openArchive, type FragmentWriter } from '../../src/archive/index.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import { toStreamId } from '../../src/domain/stream.ts'
import { epochMs } from '../../src/domain/time.ts'
import type { Track } from '../../src/domain/track.ts'
import { ElementId } from '../../src/media/matroska/element-id.ts'
import { toOpenHeader } from '../../src/media/matroska/header.ts'
import { parseHeader, scanElements, toSamples } from '../../src/media/matroska/scanner.ts'
import { clusterStart, simpleBlockHead, toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import { clusterParts, fragmentStart, writeFragment } from '../support/archive-media.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'
import { isInstalled } from '../support/installed.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'
import { sharedMedia } from '../support/shared-media.ts'

/** Lets writes under way go on. */
const turnOfTheLoop = setImmediate as () => Promise<void>

const YARD = toStreamId('yard', 1)
const T = 1_700_000_000_000

async function openScratchArchive() {
  const media = await scratchDirectory()
  const meta = await scratchMetaStore()
  const clock = new ManualClock(T)
  const observed = createObserved()
  const archive = await openArchive(
    { directory: media, meta, clock, ...observed },
    {
      retentionMsOf: () => 24 * 3_600_000,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 64 << 20,
      maxChunkBytes: 64 << 20,
    },
  )
  return { archive: untilTestEnds(archive), media, clock, observed }
}

/** A producer's clusters, as they are in its file. */
function clustersOf(path: string) {
  const file = readFileSync(path)
  const { headerLength, tracks } = parseHeader(file)!
  const clusters = [...scanElements(file)]
    .filter(({ id }) => id === ElementId.Cluster)
    .map(({ offset, end }) => file.subarray(offset, end))
  return { header: toOpenHeader(file.subarray(0, headerLength)), tracks, clusters }
}

const PRODUCER = sharedMedia('kvs_clusters.mkv')

describe.skipIf(PRODUCER === null)('a real producer’s clusters', () => {
  let source: ReturnType<typeof clustersOf>
  beforeAll(() => {
    source = clustersOf(PRODUCER!)
  })

  test('come back verbatim, and the chunk opens in ffprobe and mkvinfo while it grows', async () => {
    const { archive, media } = await openScratchArchive()
    const writer = await archive.openWriter(YARD)
    const written: { fragment: Fragment; cluster: Uint8Array }[] = []
    for (const [i, cluster] of source.clusters.entries()) {
      written.push({ fragment: await write(writer, i, cluster), cluster })
      if (i === 3) await expectPlayable(media, frames(source.clusters.slice(0, 4)))
    }
    await writer[Symbol.asyncDispose]()

    await expectPlayable(media, frames(source.clusters))
    for (const { fragment, cluster } of written) {
      const { header, tracks, bytes } = await archive.read(fragment)
      expect(Buffer.from(header).equals(source.header)).toBe(true)
      expect(tracks).toEqual(source.tracks)
      expect(Buffer.from(bytes.subarray(bytes.length - cluster.length)).equals(cluster)).toBe(true)
      expect(toSamples(bytes, tracks)).toHaveLength(fragment.sampleCount)
    }
  })

  test('a header, a slice and nothing else is a document of its own', async () => {
    const { archive } = await openScratchArchive()
    await using writer = await archive.openWriter(YARD)
    const fragment = await write(writer, 0, source.clusters[0]!)

    const { header, bytes } = await archive.read(fragment)
    const document = Buffer.concat([header, bytes])

    expect([...scanElements(document)].at(-1)?.end).toBe(document.length)
    expect(parseHeader(document)?.headerLength).toBe(header.length)
  })

  test('given up half-way, a Cluster of known size does not swallow the next', async () => {
    const { archive, media } = await openScratchArchive()
    const writer = await archive.openWriter(YARD)
    await write(writer, 0, source.clusters[0]!)
    begin(writer, 1)
    const half = source.clusters[1]!.subarray(0, endOfBlock(source.clusters[1]!, 5))
    writer.append([half], { samples: 5, producerEnd: epochMs(T), arrivedAt: epochMs(T) })
    await archive.usage(YARD)
    writer.abandon('connection lost')
    const next = await write(writer, 2, source.clusters[2]!)
    await writer[Symbol.asyncDispose]()

    expect(next).toMatchObject({ sequence: 1, discontinuity: true })
    for (const path of await chunkFiles(media)) await checkChunk(path)
  })

  test('ended half-way, as when a producer is cut off, it becomes one of unknown size', async () => {
    const { archive, media } = await openScratchArchive()
    const writer = await archive.openWriter(YARD)
    begin(writer, 0)
    const half = source.clusters[1]!.subarray(0, endOfBlock(source.clusters[1]!, 5))
    writer.append([half], { samples: 5, producerEnd: epochMs(T), arrivedAt: epochMs(T) })
    const cut = await writer.end(null)
    await write(writer, 1, source.clusters[2]!)
    await writer[Symbol.asyncDispose]()

    const { bytes, tracks } = await archive.read(cut)
    expect(toSamples(bytes, tracks)).toHaveLength(5)
    for (const path of await chunkFiles(media)) await checkChunk(path)
    await expectPlayable(media, 5 + frames([source.clusters[2]!]))
  })

  function begin(writer: FragmentWriter, i: number) {
    const at = epochMs(T + i * 2000)
    writer.begin({
      ...{ header: source.header, tracks: source.tracks, startsWithKey: true },
      ...{ serverTimestamp: at, producerTimestamp: at, discontinuity: false },
    })
  }

  function write(writer: FragmentWriter, i: number, cluster: Uint8Array): Promise<Fragment> {
    begin(writer, i)
    const end = epochMs(T + i * 2000 + 2000)
    writer.append([cluster], { samples: frames([cluster]), producerEnd: end, arrivedAt: end })
    return writer.end(null)
  }

  function frames(clusters: readonly Uint8Array[]): number {
    return clusters.reduce((sum, cluster) => sum + toSamples(cluster, source.tracks).length, 0)
  }

  /** Length of a Cluster that ends behind its nth block. */
  function endOfBlock(cluster: Uint8Array, count: number): number {
    const { data } = toSamples(cluster, source.tracks)[count - 1]!
    return data.byteOffset - cluster.byteOffset + data.length
  }
})

test.skipIf(!isInstalled('ffmpeg') || !isInstalled('ffprobe'))(
  'samples that ffmpeg encoded and our writer wrapped decode without an error',
  async () => {
    const source = join(await scratchDirectory(), 'source.mkv')
    execFileSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=10:duration=6'],
      ...['-c:v', 'mpeg4', '-g', '10', '-cluster_time_limit', '1000', source],
    ])
    const { tracks, clusters } = clustersOf(source)
    const header = toMatroskaHeader(tracks)
    const { archive, media } = await openScratchArchive()
    const writer = await archive.openWriter(YARD)
    let count = 0
    for (const cluster of clusters) count += await rewrite(writer, header, tracks, cluster)

    await expectPlayable(media, count) // the last chunk still grows
    await writer[Symbol.asyncDispose]()
    await expectPlayable(media, count)
    expect(count).toBe(60)
  },
)

async function rewrite(
  writer: FragmentWriter,
  header: Uint8Array,
  tracks: readonly Track[],
  cluster: Uint8Array,
): Promise<number> {
  const samples = toSamples(cluster, tracks)
  const start = T + samples[0]!.ptsMs
  const at = epochMs(start)
  writer.begin({
    ...{ header, tracks, serverTimestamp: at, producerTimestamp: at },
    ...{ discontinuity: false, startsWithKey: true },
  })
  const info = { samples: 1, producerEnd: epochMs(start + 1000), arrivedAt: at }
  writer.append([clusterStart(start)], { ...info, samples: 0 })
  for (const { trackNumber, ptsMs, isKey, data } of samples) {
    const relativeMs = T + ptsMs - start
    const payloadLength = data.length
    writer.append([simpleBlockHead({ trackNumber, relativeMs, isKey, payloadLength }), data], info)
  }
  await writer.end(null)
  return samples.length
}

test('a fragment of two seconds: a write call on its way, one at its end, and one in 16 for its row', async () => {
  const { archive, clock, observed } = await openScratchArchive()
  await using writer = await archive.openWriter(YARD)
  await writeFragment(writer, { at: T }) // opens the chunk
  const writes = async () => (await observed.metrics.archiveWrites.get()).values[0]!.value
  const before = await writes()
  const fragments = 20

  for (let i = 1; i <= fragments; i++) {
    const parts = clusterParts({ at: clock.now(), frames: 50 })
    writer.begin(fragmentStart({ at: clock.now() }))
    for (let frame = 0; frame < 50; frame++) {
      const info = { samples: 1, producerEnd: clock.now(), arrivedAt: clock.now() }
      const block = parts.slice(frame * 2 + 1, frame * 2 + 3)
      writer.append(frame === 0 ? [parts[0]!, ...block] : block, info)
      clock.advance(40)
      while (frame === 25 && writer.queuedBytes > 0) await turnOfTheLoop() // flushed at 1 s
    }
    await writer.end(null)
  }

  const made = (await writes()) - before
  expect(made).toBeGreaterThan(fragments * 2)
  expect(made).toBeLessThanOrEqual(fragments * 2 + Math.ceil(fragments / 16))
})

/** All chunks of the archive, in ffprobe and mkvinfo, without a complaint. */
async function expectPlayable(media: string, frames: number): Promise<void> {
  let counted = 0
  for (const path of await chunkFiles(media)) {
    await checkChunk(path)
    if (isInstalled('ffprobe')) {
      const probe = ['-v', 'error', '-count_packets', '-select_streams', 'v']
      const entries = ['-show_entries', 'stream=nb_read_packets', '-of', 'csv=p=0']
      const printed = execFileSync(
        'sh',
        ['-c', 'exec "$@" 2>&1', 'sh', 'ffprobe', ...probe, ...entries, path],
        {
          encoding: 'utf8',
        },
      )
      expect(printed).toMatch(/^\d+\n$/)
      counted += Number(printed)
    }
    if (isInstalled('mkvinfo')) {
      const printed = execFileSync('mkvinfo', [path], { encoding: 'utf8' })
      expect(printed.toLowerCase()).not.toMatch(/error|invalid|corrupt/)
    }
  }
  if (isInstalled('ffprobe')) expect(counted).toBe(frames)
}
