import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { toFragmentNumber } from '../../../src/domain/fragment.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { cuesElement, finishedFront, segmentStartOf } from '../../../src/media/matroska/finished.ts'
import { validateMatroska, type ValidationOptions } from '../../../src/media/matroska/validate.ts'
import {
  clusterStart,
  concat,
  element,
  fragmentTags,
  simpleBlockHead,
  tagsElement,
  unsigned,
  voidElement,
} from '../../../src/media/matroska/writer.ts'
import { HEADER } from '../../support/archive-media.ts'
import { isInstalled } from '../../support/installed.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { sharedMedia } from '../../support/shared-media.ts'

const T = 1_700_000_000_000
const FRONT_BYTES = HEADER.length + 256
const STRICT: ValidationOptions = { layout: 'fragments', tail: 'whole' }

const check = (bytes: Uint8Array, options: Partial<ValidationOptions> = {}) =>
  validateMatroska(
    { bytes: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) },
    { ...STRICT, ...options },
  )

const tags = (counter: number) =>
  fragmentTags({
    fragmentNumber: toFragmentNumber({ counter, serverTimestamp: epochMs(T), random28: 1 }),
    serverTimestamp: epochMs(T),
    producerTimestamp: epochMs(T),
  })
const block = (trackNumber = 1) =>
  concat([
    simpleBlockHead({ trackNumber, relativeMs: 0, isKey: true, payloadLength: 3 }),
    Uint8Array.of(1, 2, 3),
  ])
const cluster = () => concat([clusterStart(T), block(), block()])
/** What one tag less looks like. */
const withoutProducerTime = () =>
  tagsElement([
    [
      'AWS_KINESISVIDEO_FRAGMENT_NUMBER',
      toFragmentNumber({ counter: 1, serverTimestamp: epochMs(T), random28: 1 }),
    ],
    ['AWS_KINESISVIDEO_SERVER_TIMESTAMP', '1700000000.000'],
  ])

const grown = (...parts: Uint8Array[]) => concat([HEADER, voidElement(256), ...parts])

type Wrong = { readonly cueAt?: number; readonly cueTime?: number; readonly cuesAt?: number }

function finished({ cueAt = 0, cueTime = T, cuesAt = 0 }: Wrong = {}): Uint8Array {
  const media = concat([tags(1), cluster(), tags(2), cluster()])
  const clusterOffset = FRONT_BYTES + tags(1).length + cueAt
  const cuesOffset = FRONT_BYTES + media.length
  const front = finishedFront(HEADER, {
    ...{ frontBytes: FRONT_BYTES, durationTicks: 4000, cuesOffset: cuesOffset + cuesAt },
  })
  const point = { timecode: cueTime, trackNumber: 1, clusterOffset }
  return concat([front, media, cuesElement([point], segmentStartOf(HEADER))])
}

test.each([
  { rule: 'a growing chunk', bytes: grown(tags(1), cluster(), tags(2), cluster()), fragments: 2 },
  {
    rule: 'one with the producer’s Tags',
    fragments: 1,
    bytes: grown(tags(1), cluster(), tagsElement([['a', 'b']])),
  },
  { rule: 'a finished chunk', bytes: finished(), fragments: 2 },
])('$rule passes', async ({ bytes, fragments }) => {
  const { findings, ...found } = await check(bytes)

  expect(findings).toEqual([])
  expect(found.fragments).toHaveLength(fragments)
  expect(found.clusters).toBe(fragments)
})

test('what grows passes whereever it is cut, and only then', async () => {
  const whole = grown(tags(1), cluster(), tags(2), cluster())
  for (let cut = FRONT_BYTES; cut < whole.length; cut++) {
    const bytes = whole.subarray(0, cut)
    expect((await check(bytes, { tail: 'growing' })).findings, `cut at ${cut}`).toEqual([])
  }
  expect((await check(whole.subarray(0, -1))).findings.map(({ code }) => code)).toEqual(['torn'])
})

const C = FRONT_BYTES + tags(1).length
test.each([
  { code: 'bad-header', rule: 'no EBML header', bytes: grown().subarray(1), at: 0 },
  { code: 'bad-header', rule: 'no Cluster', bytes: grown(), at: 0 },
  {
    code: 'bad-element',
    rule: 'zeros',
    bytes: grown(tags(1), cluster(), new Uint8Array(40)),
    at: C + cluster().length,
  },
  {
    code: 'bad-element',
    rule: 'a block longer than its Cluster',
    bytes: grown(
      tags(1),
      element(0x1f43b675, [unsigned(0xe7, 1), block().subarray(0, -1)]),
      tags(2),
      cluster(),
    ),
    at: C + 8,
  },
  {
    code: 'torn',
    rule: 'a cut block',
    bytes: grown(tags(1), cluster()).subarray(0, -1),
    at: C + cluster().length - block().length,
  },
  {
    code: 'misplaced',
    rule: 'a block beside Clusters',
    bytes: grown(block(), tags(1), cluster()),
    at: FRONT_BYTES,
  },
  {
    code: 'misplaced',
    rule: 'Title in a Cluster',
    bytes: grown(tags(1), cluster(), element(0x7ba9, [])),
    at: C + cluster().length,
  },
  {
    code: 'bad-block',
    rule: 'a block of two bytes',
    bytes: grown(tags(1), cluster(), element(0xa3, [Uint8Array.of(0x81, 0)])),
    at: C + cluster().length,
  },
  {
    code: 'bad-block',
    rule: 'a BlockGroup without Block',
    bytes: grown(tags(1), cluster(), element(0xa0, [])),
    at: C + cluster().length,
  },
  {
    code: 'no-timecode',
    rule: 'a Cluster without',
    bytes: grown(tags(1), element(0x1f43b675, [])),
    at: C,
  },
  {
    code: 'no-timecode',
    rule: 'a block before it',
    bytes: grown(tags(1), element(0x1f43b675, [block(), unsigned(0xe7, 1)])),
    at: C,
  },
  {
    code: 'unknown-track',
    rule: 'track 2',
    bytes: grown(tags(1), clusterStart(T), block(2)),
    at: C + clusterStart(T).length,
  },
  {
    code: 'bad-tags',
    rule: 'a cut SimpleTag',
    bytes: grown(tags(1), cluster(), element(0x1254c367, [Uint8Array.of(0x73, 0x73, 0x85)])),
    at: C + cluster().length,
  },
  {
    code: 'bad-tags',
    rule: 'no producer time',
    bytes: grown(withoutProducerTime(), cluster()),
    at: FRONT_BYTES,
  },
  {
    code: 'fragment-order',
    rule: 'the same number twice',
    bytes: grown(tags(1), cluster(), tags(1), cluster()),
    at: C + cluster().length,
  },
  {
    code: 'untagged-cluster',
    rule: 'two Clusters in a fragment',
    bytes: grown(tags(1), cluster(), cluster()),
    at: C + cluster().length,
  },
  {
    code: 'cue-target',
    rule: 'a place where nothing begins',
    bytes: finished({ cueAt: 1 }),
    at: null,
  },
  {
    code: 'cue-target',
    rule: 'the time of another Cluster',
    bytes: finished({ cueTime: T - 40_000 }),
    at: null,
  },
  {
    code: 'seek-target',
    rule: 'Cues that are not there',
    bytes: finished({ cuesAt: 1 }),
    at: null,
  },
])('$code: $rule', async ({ code, bytes, at }) => {
  const { findings } = await check(bytes)

  expect(findings.map((finding) => finding.code)).toEqual([code])
  if (at !== null) expect(findings[0]?.offset).toBe(at)
})

test('damage anywhere is found or harms nothing but frames; nothing makes it throw', async () => {
  const whole = finished()
  for (let at = 0; at < whole.length; at++) {
    const bytes = Uint8Array.from(whole)
    bytes[at]! ^= 0xff
    const { findings } = await check(bytes)
    expect(findings.length).toBeLessThanOrEqual(100)
  }
})

describe('files of other programs', () => {
  const vogels = sharedMedia('kvs_vogels_480.mkv')
  const edited = sharedMedia('kvs_clusters.mkv')

  test.skipIf(vogels === null)('a producer’s file passes', async () => {
    const { findings, clusters } = await check(readFileSync(vogels!), { layout: 'document' })

    expect(findings).toEqual([])
    expect(clusters).toBeGreaterThan(0)
  })

  test.skipIf(edited === null)('Cues that were left behind by an edit are told', async () => {
    const { findings } = await check(readFileSync(edited!), { layout: 'document' })

    const codes = new Set(findings.map(({ code }) => code))
    expect(codes).toEqual(new Set(['cue-target', 'seek-target']))
  })

  test.skipIf(edited === null || !isInstalled('mkvmerge'))('of mkvmerge pass', async () => {
    const path = join(await scratchDirectory(), 'merged.mkv')
    execFileSync('mkvmerge', ['-q', '-o', path, edited!])

    expect((await check(readFileSync(path), { layout: 'document' })).findings).toEqual([])
  })

  test.skipIf(edited === null || !isInstalled('ffmpeg', '-version')).each([
    { rule: 'with Cues in front', flags: ['-cues_to_front', '1'] },
    { rule: 'live', flags: ['-live', '1'] },
    { rule: 'with a reserve for Cues', flags: ['-reserve_index_space', '10000'] },
  ])('of ffmpeg pass, $rule', async ({ flags }) => {
    const path = join(await scratchDirectory(), 'remuxed.mkv')
    execFileSync('ffmpeg', ['-v', 'error', '-i', edited!, '-c', 'copy', ...flags, path])

    expect((await check(readFileSync(path), { layout: 'document' })).findings).toEqual([])
  })
})
