import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { ElementId } from '../../../src/media/matroska/element-id.ts'
import {
  parseHeader,
  parseWholeHeader,
  scanElements,
  toSamples,
} from '../../../src/media/matroska/scanner.ts'
import { parseTags } from '../../../src/media/matroska/tags.ts'
import { toOpenHeader } from '../../../src/media/matroska/header.ts'
import {
  clusterStart,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { isInstalled } from '../../support/installed.ts'
import { sharedMedia } from '../../support/shared-media.ts'

const TRACK: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: new Uint8Array(0),
  timescale: 1000,
  video: { widthPx: 64, heightPx: 48 },
  audio: null,
}
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const block = (relativeMs: number, payload: Uint8Array, isKey = false) =>
  Buffer.concat([
    simpleBlockHead({ trackNumber: 1, relativeMs, isKey, payloadLength: payload.length }),
    payload,
  ])
const SHORT_FILE = Buffer.concat([
  toMatroskaHeader([TRACK]),
  tagsElement([['a', 'b']]),
  clusterStart(1000),
  block(0, Uint8Array.of(1, 2, 3), true),
  block(40, Uint8Array.of(4)),
  tagsElement([['c', 'd']]),
  clusterStart(2000),
  block(0, Uint8Array.of(5), true),
])

/** Every sample of a file that may be several documents, with its presentation time. */
function samplesOf(file: Uint8Array) {
  let tracks: readonly Track[] = []
  const samples: { trackNumber: number; ptsMs: number; isKey: boolean; size: number }[] = []
  for (const element of scanElements(file)) {
    if (element.id === ElementId.Ebml) tracks = parseHeader(file.subarray(element.offset))!.tracks
    if (element.id !== ElementId.Cluster) continue
    for (const sample of toSamples(file.subarray(element.offset, element.end), tracks)) {
      const { trackNumber, ptsMs, isKey, data } = sample
      samples.push({ trackNumber, ptsMs, isKey, size: data.length })
    }
  }
  return samples
}

/** The same, by ffprobe. */
function probedSamplesOf(path: string) {
  const printed = execFileSync(
    'ffprobe',
    [
      '-v',
      'error',
      '-show_entries',
      'packet=stream_index,pts_time,size,flags',
      '-of',
      'csv=p=0',
      path,
    ],
    { encoding: 'utf8', maxBuffer: 1 << 26 },
  )
  return printed
    .trim()
    .split('\n')
    .map((line) => line.split(','))
    .map(([index, pts, size, flags]) => ({
      trackNumber: Number(index) + 1,
      ptsMs: Math.round(Number(pts) * 1000),
      isKey: flags!.startsWith('K'),
      size: Number(size),
    }))
}

describe('a short file, cut at every byte', () => {
  const whole = [...scanElements(SHORT_FILE)]

  test('elements before the cut are found, nothing is invented and nothing is thrown', () => {
    for (let cut = 0; cut <= SHORT_FILE.length; cut++) {
      const found = [...scanElements(SHORT_FILE.subarray(0, cut))]
      const complete = whole.filter(({ id, end }) => id !== ElementId.Cluster && end <= cut)

      expect(found.filter(({ id }) => id !== ElementId.Cluster)).toEqual(complete)
      for (const { end } of found) expect(end).toBeLessThanOrEqual(cut)
      expect(found.filter(({ open }) => open).length).toBeLessThanOrEqual(1)
    }
  })

  test('the header is null until its Cluster begins, then the same for ever', () => {
    const header = parseHeader(SHORT_FILE)!
    const cluster = whole.find(({ id }) => id === ElementId.Cluster)!

    for (let cut = 0; cut < cluster.dataOffset; cut++) {
      expect(parseHeader(SHORT_FILE.subarray(0, cut))).toBeNull()
    }
    expect(header).toMatchObject({ headerLength: cluster.offset, tracks: [TRACK] })
    expect(parseHeader(SHORT_FILE.subarray(0, cluster.dataOffset))).toEqual(header)
  })

  test('a fragment is whole or refused', () => {
    const start = whole.find(({ id }) => id === ElementId.Cluster)!.offset
    const fragment = SHORT_FILE.subarray(start)
    const boundaries = new Set<number>()
    for (let cut = 0; cut <= fragment.length; cut++) {
      try {
        toSamples(fragment.subarray(0, cut), [TRACK])
        boundaries.add(cut)
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedMediaError)
      }
    }

    const blockEnds = [12, 22, 31, 38] // behind the Cluster's start, its Timecode and each block
    expect([...boundaries].slice(0, 5)).toEqual([0, ...blockEnds])
    expect(boundaries.has(fragment.length)).toBe(true)
  })
})

describe('header', () => {
  test.each([
    { rule: 'is no EBML', hex: '474011', message: 'EBML header' },
    { rule: 'EBML header of unknown size', hex: '1a45dfa3 ff', message: 'EBML header' },
    {
      rule: 'another DocType',
      hex: '1a45dfa3 87 4282 84 66616b65',
      message: 'DocType is not matroska',
    },
    {
      rule: 'Cluster before Tracks',
      hex: '1a45dfa3 80 18538067 ff 1f43b675 ff',
      message: 'Cluster before Tracks',
    },
    {
      rule: 'Tracks of unknown size',
      hex: '1a45dfa3 80 18538067 ff 1654ae6b ff',
      message: 'Tracks of unknown size',
    },
    {
      rule: 'TimecodeScale 0',
      hex: '1a45dfa3 80 18538067 ff 1549a966 85 2ad7b1 81 00',
      message: 'TimecodeScale 0',
    },
    {
      rule: 'a child past its parent',
      hex: '1a45dfa3 80 18538067 ff 1549a966 85 2ad7b1 84 00',
      message: 'past its parent',
    },
    {
      rule: 'a track twice',
      hex: '1a45dfa3 80 18538067 ff 1654ae6b 90 ae86d7810186815 6 ae86d78101868156'.replace(
        '815 6',
        '8156',
      ),
      message: 'declared twice',
    },
    {
      rule: 'a track without codec',
      hex: '1a45dfa3 80 18538067 ff 1654ae6b 85 ae83d78101',
      message: 'without number or codec',
    },
  ])('$rule is refused with the place', ({ hex, message }) => {
    expect(() => parseHeader(bytes(hex))).toThrow(new RegExp(`(${message}).*at byte \\d+`))
  })

  test('NUL padding of old producers is cut (RFC 8794 §7.4)', () => {
    const header = bytes(
      `1a45dfa3 8c 4282 89 ${Buffer.from('matroska\0').toString('hex')}` +
        `18538067 ff 1654ae6b 8b ae89 d78101 8684 56000000`,
    )

    expect(parseWholeHeader(header).tracks[0]?.codecId).toBe('V')
  })

  test('a Segment of known size is opened in place, an open one is left alone', () => {
    const closed = Buffer.concat([bytes('1a45dfa3 80 18538067 4100'), Buffer.alloc(3)])

    expect(Buffer.from(toOpenHeader(closed)).toString('hex')).toBe('1a45dfa380185380677fff000000')
    expect(closed[9]).toBe(0x41)
    const open = toMatroskaHeader([TRACK])
    expect(toOpenHeader(open)).toBe(open)
  })
})

describe('blocks', () => {
  const cluster = (...parts: Uint8Array[]) => Buffer.concat([clusterStart(100), ...parts])

  test('a BlockGroup is key unless it refers to another block (RFC 9559 §10.3)', () => {
    const fragment = cluster(
      bytes('a0 87 a1 85 81 0001 00 aa'),
      bytes('a0 8a a1 85 81 0002 00 bb fb 81 ff'),
    )

    const samples = toSamples(fragment, [TRACK])

    expect(samples.map(({ ptsMs, isKey }) => [ptsMs, isKey])).toEqual([
      [101, true],
      [102, false],
    ])
  })

  test.each([
    { lacing: 'Xiph', body: '81 0000 82 02 01 02 aa bbbb cccccc' },
    { lacing: 'fixed', body: '81 0000 84 02 aaaa bbbb cccc' },
    { lacing: 'EBML', body: '81 0000 86 02 81 c0 aa bbbb cccccc' },
  ])('$lacing lacing gives three frames that share the time evenly', ({ body }) => {
    const laced = bytes(body)
    const head = Uint8Array.of(0xa3, 0x80 | laced.length)
    const fragment = cluster(head, laced, block(30, Uint8Array.of(1)))

    const samples = toSamples(fragment, [TRACK])

    expect(samples.map(({ ptsMs }) => ptsMs)).toEqual([100, 110, 120, 130])
    expect(samples.map(({ data }) => data[0])).toEqual([0xaa, 0xbb, 0xcc, 1])
  })

  test.each([
    { rule: 'is too short', hex: 'a3 82 81 00' },
    { rule: 'names track 0', hex: 'a3 85 80 0000 00 aa' },
    { rule: 'has Xiph lacing longer than itself', hex: 'a3 87 81 0000 02 01 ff 01' },
    { rule: 'has fixed lacing that does not divide', hex: 'a3 88 81 0000 04 01 aabbcc' },
    { rule: 'has no Block in its group', hex: 'a0 80' },
    { rule: 'is of unknown size', hex: 'a3 ff 81 0000 00' },
  ])('a block that $rule is refused', ({ hex }) => {
    expect(() => toSamples(cluster(bytes(hex)), [TRACK])).toThrow(MalformedMediaError)
  })

  test('a block before the Timecode is refused', () => {
    const fragment = Buffer.concat([bytes('1f43b675 ff'), block(0, Uint8Array.of(1))])

    expect(() => toSamples(fragment, [TRACK])).toThrow('block before the Timecode')
  })

  test('blocks of undeclared tracks are skipped', () => {
    const fragment = cluster(bytes('a3 85 83 0000 80 aa'), block(1, Uint8Array.of(2)))

    expect(toSamples(fragment, [TRACK]).map(({ trackNumber }) => trackNumber)).toEqual([1])
  })

  test('a TimecodeScale other than 1 ms is exact at wall-clock Timecodes', () => {
    const track = { ...TRACK, timescale: 1_000_000_000 / 300_000 }
    const fragment = Buffer.concat([
      clusterStart(5_666_666_666_667), // 1,700,000,000,000.1 ms
      block(7, Uint8Array.of(1)),
    ])

    expect(toSamples(fragment, [track])[0]?.ptsMs).toBe(1_700_000_000_002)
  })
})

describe.skipIf(!isInstalled('ffprobe'))(
  'files of other writers are read as ffprobe reads them',
  () => {
    test.each(['kvs_clusters.mkv', 'kvs_vogels_480.mkv'])('%s', (name) => {
      const path = sharedMedia(name)
      if (path === null) return

      expect(samplesOf(readFileSync(path))).toEqual(probedSamplesOf(path))
    })

    test.skipIf(!isInstalled('ffmpeg')).each([
      { writer: 'ffmpeg', extra: [] },
      { writer: 'ffmpeg, live', extra: ['-live', '1'] },
    ])('$writer', ({ extra }) => {
      inDirectory((directory) => {
        const path = join(directory, 'written.mkv')
        generate(path, extra)

        expect(samplesOf(readFileSync(path))).toEqual(probedSamplesOf(path))
      })
    })

    test.skipIf(!isInstalled('mkvmerge') || !isInstalled('ffmpeg'))('mkvmerge', () => {
      inDirectory((directory) => {
        const path = join(directory, 'merged.mkv')
        generate(join(directory, 'source.mkv'), [])
        execFileSync('mkvmerge', ['-q', '-o', path, join(directory, 'source.mkv')])

        const ours = samplesOf(readFileSync(path))
        const probed = probedSamplesOf(path)

        expect(ours.map(({ size }) => size)).toEqual(probed.map(({ size }) => size))
        for (const [i, { ptsMs }] of ours.entries()) {
          expect(Math.abs(ptsMs - probed[i]!.ptsMs)).toBeLessThanOrEqual(1)
        }
      })
    })

    function generate(path: string, extra: readonly string[]) {
      execFileSync('ffmpeg', [
        ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=64x48:rate=10:duration=3'],
        ...['-f', 'lavfi', '-i', 'sine=duration=3', '-c:v', 'mpeg4', '-g', '10', '-c:a', 'mp2'],
        ...['-cluster_time_limit', '1000', ...extra, path],
      ])
    }
  },
)

test.skipIf(sharedMedia('kvs_output_get_media.mkv') === null)(
  'five concatenated GetMedia documents with their Tags are told apart',
  () => {
    const file = readFileSync(sharedMedia('kvs_output_get_media.mkv')!)
    const elements = [...scanElements(file)]
    const numbers = elements
      .filter(({ id }) => id === ElementId.Tags)
      .flatMap((tags) => parseTags(file, tags))
      .filter(({ name }) => name === 'AWS_KINESISVIDEO_FRAGMENT_NUMBER')

    expect(elements.at(-1)?.end).toBe(file.length)
    expect(elements.filter(({ id }) => id === ElementId.Ebml)).toHaveLength(5)
    expect(elements.filter(({ id }) => id === ElementId.Cluster)).toHaveLength(5)
    expect(numbers).toHaveLength(5)
    expect(parseHeader(file)?.headerLength).toBe(916) // where the fragment's own Tags begin
    const samples = samplesOf(file)
    expect(samples.length).toBeGreaterThan(200)
    expect(samples.filter(({ isKey }) => isKey).length).toBeGreaterThanOrEqual(5)
  },
)

test('fuzz: 20,000 damaged files end in samples or in MalformedMediaError', () => {
  let seed = 0x2545f491
  const random = (below: number) => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return (seed >>> 0) % below
  }
  let survivors = 0
  for (let round = 0; round < 20_000; round++) {
    const damaged = Buffer.from(SHORT_FILE)
    for (let i = random(4) + 1; i > 0; i--) damaged[random(damaged.length)] = random(256)
    try {
      const header = parseHeader(damaged)
      for (const element of scanElements(damaged)) {
        expect(element.end).toBeGreaterThan(element.offset)
        if (element.id !== ElementId.Cluster || header === null) continue
        toSamples(damaged.subarray(element.offset, element.end), header.tracks)
      }
      survivors++
    } catch (error) {
      if (!(error instanceof MalformedMediaError)) throw error
    }
  }
  expect(survivors).toBeGreaterThan(1000)
  expect(survivors).toBeLessThan(20_000)
})

function inDirectory(run: (directory: string) => void) {
  const directory = mkdtempSync(join(tmpdir(), 'matroska-'))
  try {
    run(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
