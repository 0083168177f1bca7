import { copyFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import type { OpenChunkRow } from '../../src/archive/catalogue.ts'
import { ChunkFile } from '../../src/archive/chunk-file.ts'
import { CLOSING_BYTES, closingRecord, RESERVE_BYTES } from '../../src/archive/chunk-layout.ts'
import { nodeChunkStore } from '../../src/archive/node-chunk-store.ts'
import {
  decodeSidecar,
  ROW_BYTES,
  SIDECAR_HEADER_BYTES,
  type FragmentRow,
} from '../../src/archive/fragment-row.ts'
import { rebuildSidecar, recoverChunk } from '../../src/archive/recovery.ts'
import { toFragmentNumber } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import { toSamples } from '../../src/media/matroska/scanner.ts'
import { fragmentTags, tagsElement } from '../../src/media/matroska/writer.ts'
import { clusterParts, HEADER, VIDEO_TRACK } from '../support/archive-media.ts'
import { checkChunk } from '../support/chunk-check.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'

const T = 1_700_000_000_000
const CHUNK: OpenChunkRow = {
  state: 'open',
  chunkId: 'c',
  path: 's/d/c.mkv',
  firstCounter: 41,
  firstSequence: 7,
  discontinuitiesBefore: 2,
  openedAt: epochMs(T),
  headerBytes: HEADER.length,
}
const START = HEADER.length + RESERVE_BYTES

type Written = { readonly row: FragmentRow; readonly bytes: Buffer }

/** Three fragments in one chunk, the last with producer Tags; files as they are when all is persisted. */
let original: string
let written: readonly Written[]

beforeAll(async () => {
  original = await mkdtemp(join(tmpdir(), 'recovery-'))
  const chunk = newChunk(original)
  await chunk.create()
  const all: Written[] = []
  for (let i = 0; i < 3; i++) all.push(await append(chunk, i))
  await chunk.persist(all.map(({ row }) => row))
  await chunk.seal()
  written = all
  return () => rm(original, { recursive: true })
})

function newChunk(directory: string): ChunkFile {
  return new ChunkFile({
    files: nodeChunkStore,
    directory,
    row: CHUNK,
    header: HEADER,
    onWrite: () => {},
  })
}

async function append(chunk: ChunkFile, i: number): Promise<Written> {
  const at = T + i * 2000
  const numbers = { counter: 41 + i, serverTimestamp: epochMs(at), random28: 99 }
  const producerTimestamp = epochMs(at)
  const bytes = Buffer.concat([
    fragmentTags({ fragmentNumber: toFragmentNumber(numbers), ...numbers, producerTimestamp }),
    ...clusterParts({ at, frames: 4, frameBytes: 10 }),
    ...(i === 2 ? [tagsElement([['a', 'b']])] : []),
  ])
  const row: FragmentRow = {
    ...{ ...numbers, producerTimestamp, offset: chunk.length, length: bytes.length },
    ...{
      deleted: false,
      discontinuity: i === 0,
      recovered: false,
      startsWithKey: true,
      hasProducerTags: i === 2,
    },
    ...{ durationMs: 2000, arrivalSpanMs: 1990, sampleCount: 4 },
    ...{ sequence: 7 + i, discontinuitySequence: 3, checksum: crc32(bytes) },
  }
  const closing = closingRecord(row)
  await chunk.append([bytes, closing], bytes.length + closing.length)
  return { row, bytes }
}

/** A copy of the chunk whose files a test may damage. */
async function copy(): Promise<{ directory: string; media: string; index: string }> {
  const directory = await scratchDirectory()
  const media = join(directory, CHUNK.path)
  const index = media.replace('.mkv', '.idx')
  await mkdir(dirname(media), { recursive: true })
  await copyFile(join(original, CHUNK.path), media)
  await copyFile(join(original, CHUNK.path).replace('.mkv', '.idx'), index)
  return { directory, media, index }
}

const recover = (directory: string, successor: number | null = null) =>
  recoverChunk(CHUNK, successor, { directory, files: nodeChunkStore })

async function rowsIn(media: string, index: string): Promise<readonly FragmentRow[]> {
  return decodeSidecar(await readFile(index), (await stat(media)).size)
}

describe('a tail torn at every byte of the last fragment', () => {
  test('keeps its whole blocks as recovered, and nothing else', async () => {
    const { directory, media, index } = await copy()
    const whole = await readFile(media)
    const rows = await readFile(index)
    const last = written[2]!
    const rowsBefore = rows.subarray(0, SIDECAR_HEADER_BYTES + 2 * ROW_BYTES)
    const blockEnds = endsOfBlocks(last)
    for (
      let cut = last.row.offset;
      cut < last.row.offset + last.row.length + CLOSING_BYTES;
      cut++
    ) {
      await writeFile(media, whole.subarray(0, cut))
      await writeFile(index, rowsBefore)

      const { finished } = await recover(directory)

      const kept = blockEnds.filter((end) => end <= cut - last.row.offset).length
      const found = await rowsIn(media, index)
      expect(found.slice(0, 2)).toEqual(written.slice(0, 2).map(({ row }) => row))
      expect(found.length, `cut at ${cut}`).toBe(kept > 0 ? 3 : 2)
      expect(finished?.span.fragments).toBe(found.length)
      expect(finished?.bytes).toBe((await stat(media)).size)
      await checkChunk(media)
      if (kept === 0) continue
      const { offset, length } = found[2]!
      const bytes = (await readFile(media)).subarray(offset, offset + length)
      expect(found[2]).toMatchObject({ recovered: true, sampleCount: kept, sequence: 9 })
      expect(found[2]).toMatchObject({ counter: 43, random28: 99, discontinuity: false })
      expect(found[2]!.durationMs).toBe(kept === 1 ? 0 : kept * 500)
      expect(toSamples(bytes, [VIDEO_TRACK])).toHaveLength(kept)
      expect(last.bytes.subarray(0, length).equals(bytes)).toBe(true)
    }
  })

  /** Lengths of the last fragment at which one more block is whole. */
  function endsOfBlocks({ bytes }: Written): readonly number[] {
    const parts = clusterParts({ at: T + 4000, frames: 4, frameBytes: 10 })
    let end = bytes.indexOf(parts[0]!) + parts[0]!.length
    return [1, 3, 5, 7].map((i) => (end += parts[i]!.length + parts[i + 1]!.length))
  }
})

test('a closing record is believed: nothing is lost or changed without the sidecar', async () => {
  const { directory, media, index } = await copy()
  const before = [await readFile(media), await readFile(index)]
  for (let cut = 0; cut <= before[1]!.length; cut++) {
    await writeFile(index, before[1]!.subarray(0, cut))

    const { finished, cutBytes } = await recover(directory)

    expect(finished?.span).toMatchObject({ fragments: 3, lastCounter: 43, lastSequence: 9 })
    expect(cutBytes).toBe(0)
    expect([await readFile(media), await readFile(index)]).toEqual(before)
  }
})

test('running it again changes nothing', async () => {
  const { directory, media, index } = await copy()
  await truncate(media, written[2]!.row.offset + 300)
  await recover(directory)
  const after = [await readFile(media), await readFile(index)]

  await recover(directory)

  expect([await readFile(media), await readFile(index)]).toEqual(after)
})

test.each([
  { rule: 'bytes', of: 'media', keep: 0 },
  { rule: 'a whole header', of: 'media', keep: START - 1 },
  { rule: 'a fragment', of: 'media', keep: START },
  { rule: 'a block', of: 'media', keep: START + 260 },
])('a chunk without $rule is dropped', async ({ keep }) => {
  const { directory, media } = await copy()
  await truncate(media, keep)

  expect(await recover(directory)).toMatchObject({ finished: null, missing: false })
})

test('a chunk whose file is not there is reported as missing', async () => {
  const { directory, media } = await copy()
  await rm(media)

  expect(await recover(directory)).toMatchObject({ finished: null, missing: true })
})

test.each([
  { rule: 'a sidecar that is not there', damage: (index: string) => rm(index) },
  { rule: 'a sidecar of zeros', damage: (index: string) => writeFile(index, Buffer.alloc(500)) },
  {
    rule: 'a sidecar with a flipped bit',
    damage: async (index: string) => {
      const bytes = await readFile(index)
      bytes[SIDECAR_HEADER_BYTES + ROW_BYTES + 3]! ^= 1
      await writeFile(index, bytes)
    },
  },
])('$rule is made again from the chunk', async ({ damage }) => {
  const { directory, media, index } = await copy()
  await damage(index)

  const { finished } = await recover(directory)

  expect(await rowsIn(media, index)).toEqual(written.map(({ row }) => row))
  await damage(index)
  expect(await rebuildSidecar(finished!, { directory, files: nodeChunkStore })).toEqual(
    written.map(({ row }) => row),
  )
  expect(await rowsIn(media, index)).toEqual(written.map(({ row }) => row))
})

test('zeros behind the last fragment, as after a power failure, are cut off', async () => {
  const { directory, media } = await copy()
  const { size } = await stat(media)
  await truncate(media, size + 5000)

  expect(await recover(directory)).toMatchObject({ cutBytes: 5000, found: 0 })
  expect((await stat(media)).size).toBe(size)
})

test('rows that point past the chunk’s end go; their fragment is recovered as far as it is there', async () => {
  const { directory, media, index } = await copy()
  await truncate(media, written[2]!.row.offset + written[2]!.row.length - 60)

  await recover(directory)

  const rows = await rowsIn(media, index)
  expect(rows.map(({ recovered }) => recovered)).toEqual([false, false, true])
})

test('what the next chunk replaced is not taken back', async () => {
  const { directory, media, index } = await copy()
  await truncate(index, SIDECAR_HEADER_BYTES + ROW_BYTES)

  await recover(directory, 8)

  expect((await rowsIn(media, index)).map(({ sequence }) => sequence)).toEqual([7])
  await checkChunk(media)
})

test('a Cluster of known size that was cut gets an unknown one', async () => {
  const { directory, media, index } = await copy()
  const bytes = await readFile(media)
  const { row } = written[2]!
  const cluster = bytes.indexOf('1f43b675', row.offset, 'hex')
  const closed = Buffer.from(bytes.subarray(0, row.offset + row.length - 60))
  closed.write('0100000000000400', cluster + 4, 'hex')
  await writeFile(media, closed)
  await truncate(index, SIDECAR_HEADER_BYTES + 2 * ROW_BYTES)

  await recover(directory)

  const after = await readFile(media)
  expect(after.toString('hex', cluster + 4, cluster + 12)).toBe('01ffffffffffffff')
  await checkChunk(media)
  expect((await rowsIn(media, index))[2]).toMatchObject({ recovered: true })
})

test('a closing record takes as many bytes as it says', () => {
  expect(closingRecord(written[0]!.row)).toHaveLength(CLOSING_BYTES)
})
