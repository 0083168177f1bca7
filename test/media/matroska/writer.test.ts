import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FragmentNumber } from '../../../src/domain/fragment.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { CODEC_AAC, CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { parseWholeHeader, scanElements, toSamples } from '../../../src/media/matroska/scanner.ts'
import { parseTags } from '../../../src/media/matroska/tags.ts'
import { readElementHead } from '../../../src/media/matroska/vint.ts'
import {
  clusterStart,
  fragmentTags,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
  voidElement,
} from '../../../src/media/matroska/writer.ts'
import { isInstalled } from '../../support/installed.ts'
import { sharedMedia } from '../../support/shared-media.ts'

const VIDEO: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: Uint8Array.from(
    Buffer.from('014d401effe1000467640000010004 68ee3c80'.replace(' ', ''), 'hex'),
  ),
  timescale: 1000,
  video: { widthPx: 640, heightPx: 360 },
  audio: null,
}
const AUDIO: Track = {
  number: 2,
  kind: 'audio',
  codecId: CODEC_AAC,
  codecPrivate: Uint8Array.of(0x11, 0x90),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 48_000, channels: 2 },
}
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

test('a header is read back as the tracks it was made of', () => {
  const header = toMatroskaHeader([VIDEO, AUDIO])

  expect(parseWholeHeader(header)).toEqual({
    headerLength: header.length,
    timecodeScaleNs: 1_000_000,
    tracks: [VIDEO, AUDIO],
  })
})

test('the same tracks give the same bytes, others give others', () => {
  expect(toMatroskaHeader([VIDEO, AUDIO])).toEqual(toMatroskaHeader([VIDEO, AUDIO]))
  expect(toMatroskaHeader([VIDEO])).not.toEqual(toMatroskaHeader([VIDEO, AUDIO]))
})

test('the Segment is open, with its size in 8 bytes', () => {
  expect(hex(toMatroskaHeader([VIDEO]))).toContain('1853806701ffffffffffffff')
})

test('a Cluster starts open, with an 8-byte Timecode', () => {
  expect(hex(clusterStart(1_700_000_000_123))).toBe('1f43b67501ffffffffffffffe7880000018bcfe5687b')
})

test.each([
  { trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: 3, head: 'a38781000080' },
  { trackNumber: 2, relativeMs: -1, isKey: false, payloadLength: 0, head: 'a38482ffff00' },
  {
    trackNumber: 126,
    relativeMs: 32_767,
    isKey: false,
    payloadLength: 200,
    head: 'a340ccfe7fff00',
  },
  { trackNumber: 1, relativeMs: -32_768, isKey: true, payloadLength: 1, head: 'a38581800080' },
])('SimpleBlock head of track $trackNumber at $relativeMs ms', ({ head, ...block }) => {
  expect(hex(simpleBlockHead(block))).toBe(head)
})

test.each([
  { trackNumber: 0, relativeMs: 0 },
  { trackNumber: 127, relativeMs: 0 },
  { trackNumber: 1, relativeMs: 32_768 },
  { trackNumber: 1, relativeMs: -32_769 },
])('refuses a block of track $trackNumber at $relativeMs ms', (block) => {
  expect(() => simpleBlockHead({ ...block, isKey: true, payloadLength: 1 })).toThrow(RangeError)
})

test('blocks are read back with absolute times and without a copy', () => {
  const payload = Uint8Array.of(9, 8, 7)
  const fragment = Buffer.concat([
    clusterStart(5_000),
    simpleBlockHead({ trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: 3 }),
    payload,
    simpleBlockHead({ trackNumber: 2, relativeMs: -20, isKey: true, payloadLength: 3 }),
    payload,
    simpleBlockHead({ trackNumber: 1, relativeMs: 40, isKey: false, payloadLength: 3 }),
    payload,
  ])

  const samples = toSamples(fragment, [VIDEO, AUDIO])

  expect(samples.map(({ trackNumber, ptsMs, isKey }) => [trackNumber, ptsMs, isKey])).toEqual([
    [1, 5000, true],
    [2, 4980, true],
    [1, 5040, false],
  ])
  expect(samples.every(({ data }) => data.buffer === fragment.buffer)).toBe(true)
  expect(samples.every(({ data }) => hex(data) === '090807')).toBe(true)
})

test.each([
  [1_511_852_109_126, '1511852109.126'],
  [1_000_000_000_005, '1000000000.005'],
  [0, '0.000'],
  [-1, '-0.001'],
  [-1500, '-1.500'],
])('timestamp %i is printed as %s', (timestamp, text) => {
  const tags = fragmentTags({
    fragmentNumber: '9' as FragmentNumber,
    serverTimestamp: epochMs(timestamp),
    producerTimestamp: epochMs(timestamp),
  })

  expect(parseTags(tags, readElementHead(tags, 0)!).map(({ value }) => value)).toEqual([
    '9',
    text,
    text,
  ])
})

test('names and values in Tags are UTF-8', () => {
  const tags = tagsElement([['lieu', 'Œuvre ☂']])

  expect(parseTags(tags, readElementHead(tags, 0)!)).toEqual([{ name: 'lieu', value: 'Œuvre ☂' }])
})

test.each([2, 3, 90, 128, 129, 137, 256])('a Void of %i bytes takes exactly these', (total) => {
  const element = voidElement(total)

  expect(element.length).toBe(total)
  expect([...scanElements(element)].map(({ end }) => end)).toEqual([total])
})

test.skipIf(sharedMedia('kvs_output_get_media.mkv') === null)(
  'fragment Tags are byte for byte those captured from the service',
  () => {
    const captured = readFileSync(sharedMedia('kvs_output_get_media.mkv')!)
    const ours = fragmentTags({
      fragmentNumber: '91343852333181432392682062607743920146159169392' as FragmentNumber,
      serverTimestamp: epochMs(1_511_852_109_126),
      producerTimestamp: epochMs(1_511_852_108_513),
    })

    expect(captured.indexOf(ours)).toBe(916)
  },
)

test.skipIf(!isInstalled('mkvinfo'))('mkvinfo reads what we write without a complaint', () => {
  const directory = mkdtempSync(join(tmpdir(), 'matroska-'))
  try {
    const path = join(directory, 'written.mkv')
    writeFileSync(
      path,
      Buffer.concat([
        toMatroskaHeader([VIDEO, AUDIO], { title: 'yard' }),
        voidElement(256),
        tagsElement([['name', 'value']]),
        clusterStart(1_700_000_000_000),
        simpleBlockHead({ trackNumber: 1, relativeMs: 0, isKey: true, payloadLength: 1 }),
        Uint8Array.of(1),
        tagsElement([['after', 'it']]),
      ]),
    )

    const printed = execFileSync('mkvinfo', ['-v', path], { encoding: 'utf8' })

    expect(printed).toContain('Codec ID: V_MPEG4/ISO/AVC')
    expect(printed).toContain('Sampling frequency: 48000')
    expect(printed).toContain('Name: after')
    expect(printed.toLowerCase()).not.toMatch(/error|invalid|corrupt/)
    expect(existsSync(path)).toBe(true)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
