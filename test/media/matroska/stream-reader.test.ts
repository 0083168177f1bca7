import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MalformedMediaError, ServiceError } from '../../../src/domain/errors.ts'
import { CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { ElementId } from '../../../src/media/matroska/element-id.ts'
import { parseHeader, scanElements, toSamples } from '../../../src/media/matroska/scanner.ts'
import {
  MatroskaStreamReader,
  type StreamEvent,
} from '../../../src/media/matroska/stream-reader.ts'
import {
  clusterStart,
  concat,
  element,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
  unsigned,
} from '../../../src/media/matroska/writer.ts'
import { isInstalled } from '../../support/installed.ts'
import { createRandom, mutations } from '../../support/fuzz.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { sharedMedia } from '../../support/shared-media.ts'

const LIMITS = { maxHeaderBytes: 64 * 1024, maxElementBytes: 1024 * 1024 }
const CASES = Number(process.env.TEST_FUZZ_CASES ?? 3_000)

const TRACK: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: new Uint8Array(0),
  timescale: 1000,
  video: { widthPx: 64, heightPx: 48 },
  audio: null,
}
const HEADER = toMatroskaHeader([TRACK])
const block = (relativeMs: number, payload: readonly number[], isKey = false) =>
  concat([
    simpleBlockHead({ trackNumber: 1, relativeMs, isKey, payloadLength: payload.length }),
    Uint8Array.from(payload),
  ])
/** With a known size, as ffmpeg writes them for files. */
const sizedCluster = (timecode: number, ...children: Uint8Array[]) =>
  element(ElementId.Cluster, [unsigned(ElementId.Timecode, timecode), ...children])
const SHORT = concat([
  HEADER,
  clusterStart(1000),
  block(0, [1, 2, 3], true),
  block(40, [4]),
  tagsElement([['c', 'd']]),
  sizedCluster(2000, block(0, [5, 6], true)),
  element(ElementId.Cues, [new Uint8Array(300)]),
  clusterStart(3000),
  block(0, [7], true),
])

/** Pushes pieces of `pieceBytes` and ends; events as text, bytes included. */
function readInPieces(bytes: Uint8Array, pieceBytes: number) {
  const reader = new MatroskaStreamReader(LIMITS)
  const events: StreamEvent[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    // A copy of its own, as a socket gives it.
    events.push(...reader.push(Uint8Array.from(bytes.subarray(at, at + pieceBytes))))
  }
  const { events: last, isWhole } = reader.end()
  return { events: [...events, ...last].map(describeEvent), isWhole }
}

function describeEvent(event: StreamEvent): string {
  const hex = 'bytes' in event ? Buffer.from(event.bytes).toString('hex') : ''
  switch (event.type) {
    case 'cluster':
      return `cluster ${event.timecode} ${hex}`
    case 'block':
      return `block ${event.trackNumber} ${event.relativeTicks}${event.isKey ? ' key' : ''} ${hex}`
    default:
      return `${event.type} ${hex}`
  }
}

/** Every sample of what was read, as the archive would give it back. */
function samplesOf(bytes: Uint8Array, pieceBytes: number) {
  const reader = new MatroskaStreamReader({ maxHeaderBytes: 1 << 20, maxElementBytes: 64 << 20 })
  const samples: string[] = []
  let tracks: readonly Track[] = []
  let fragment: Uint8Array[] = []
  const flush = () => {
    for (const sample of toSamples(concat(fragment), tracks)) {
      samples.push(`${sample.trackNumber} ${sample.ptsMs} ${sample.isKey} ${sample.data.length}`)
    }
    fragment = []
  }
  const take = (events: readonly StreamEvent[]) => {
    for (const event of events) {
      if (event.type === 'header') tracks = event.header.tracks
      else if (event.type === 'cluster-end') flush()
      else if (event.type !== 'tags') fragment.push(event.bytes)
    }
  }
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    take(reader.push(bytes.subarray(at, at + pieceBytes)))
  }
  const last = reader.end()
  take(last.events)
  return { samples, isWhole: last.isWhole }
}

/** The same by the scanner, which has the whole file. */
function samplesByScan(file: Uint8Array): string[] {
  let tracks: readonly Track[] = []
  const samples: string[] = []
  for (const each of scanElements(file)) {
    if (each.id === ElementId.Ebml) tracks = parseHeader(file.subarray(each.offset))!.tracks
    if (each.id !== ElementId.Cluster) continue
    for (const sample of toSamples(file.subarray(each.offset, each.end), tracks)) {
      samples.push(`${sample.trackNumber} ${sample.ptsMs} ${sample.isKey} ${sample.data.length}`)
    }
  }
  return samples
}

describe('a stream of Matroska', () => {
  test('is read element by element; sizes become unknown, nothing else changes', () => {
    const { events, isWhole } = readInPieces(SHORT, SHORT.length)

    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    expect(events).toEqual([
      `header ${hex(HEADER)}`,
      `cluster 1000 ${hex(clusterStart(1000))}`,
      `block 1 0 key ${hex(block(0, [1, 2, 3], true))}`,
      `block 1 40 ${hex(block(40, [4]))}`,
      'cluster-end ',
      `tags ${hex(tagsElement([['c', 'd']]))}`,
      'cluster 2000 1f43b675ffe78207d0',
      `block 1 0 key ${hex(block(0, [5, 6], true))}`,
      'cluster-end ',
      `cluster 3000 ${hex(clusterStart(3000))}`,
      `block 1 0 key ${hex(block(0, [7], true))}`,
      'cluster-end ',
    ])
    expect(isWhole).toBe(true)
  })

  test('does not depend on where it is cut', () => {
    const whole = readInPieces(SHORT, SHORT.length)

    for (let pieceBytes = 1; pieceBytes < SHORT.length; pieceBytes++) {
      expect(readInPieces(SHORT, pieceBytes)).toEqual(whole)
    }
  })

  test('that breaks off at any byte is read up to there, or refused for its header', () => {
    const whole = readInPieces(SHORT, SHORT.length).events

    for (let length = 0; length < SHORT.length; length++) {
      const { events, isWhole } = readInPieces(SHORT.subarray(0, length), 7)
      const kept = events.filter((event) => event !== 'cluster-end ')
      expect(whole.filter((event) => event !== 'cluster-end ').slice(0, kept.length)).toEqual(kept)
      if (isWhole) expect(kept.length).toBeGreaterThan(1)
    }
  })

  test('may go on with another document', () => {
    const { events } = readInPieces(concat([SHORT, SHORT]), 11)

    expect(events.filter((event) => event.startsWith('header'))).toHaveLength(2)
    expect(events.filter((event) => event.startsWith('block'))).toHaveLength(8)
  })

  test('skips what it does not keep without holding it', () => {
    const reader = new MatroskaStreamReader({ maxHeaderBytes: 1024, maxElementBytes: 1024 })
    reader.push(SHORT)
    const attachments = Uint8Array.of(0x19, 0x41, 0xa4, 0x69, 0x01, 0, 0, 0, 0x40, 0, 0, 0) // 1 GiB
    reader.push(attachments)
    const before = process.memoryUsage().arrayBuffers
    const filler = new Uint8Array(1 << 20)
    for (let i = 0; i < 1024; i++) expect(reader.push(filler)).toEqual([])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20)

    expect(reader.push(clusterStart(9)).map((event) => event.type)).toEqual(['cluster'])
  })

  test('an announced size reserves nothing', () => {
    const reader = new MatroskaStreamReader({ maxHeaderBytes: 1024, maxElementBytes: 50 << 20 })
    reader.push(SHORT)
    const before = process.memoryUsage().arrayBuffers
    reader.push(clusterStart(9))
    reader.push(Uint8Array.of(0xa3, 0x12, 0x80, 0, 0, 0x81)) // a block of 40 MiB, of which little comes
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
  })
})

describe('what is refused', () => {
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  test.each<[string, Uint8Array, RegExp]>([
    ['no EBML header', bytes('1f43b675 ff'), /no EBML header \(at byte 0,/],
    ['HTML', Buffer.from('<html><body>'), /no element begins here|no EBML header/],
    ['an EBML header of unknown size', bytes('1a45dfa3 ff'), /EBML of unknown size|unknown size/],
    ['no Segment', bytes('1a45dfa3 80 1f43b675 ff'), /no Segment/],
    [
      'another DocType',
      concat([bytes('1a45dfa3 87 4282 84'), Buffer.from('mp42'), bytes('18538067 ff 1f43b675 ff')]),
      /DocType is not matroska/,
    ],
    ['no Tracks', bytes('1a45dfa3 80 18538067 ff 1f43b675 ff'), /not exactly one whole header/],
    [
      'a second Tracks',
      concat([SHORT, bytes('1654ae6b 80')]),
      /Tracks between Clusters \(at byte \d+, in Segment\)/,
    ],
    [
      'a block before the Timecode',
      concat([HEADER, bytes('1f43b675 ff'), block(0, [1])]),
      /block before the Timecode/,
    ],
    [
      'a block without a track',
      concat([HEADER, clusterStart(1), bytes('a3 82 8000')]),
      /block is too short/,
    ],
    [
      'a block of unknown size',
      concat([HEADER, clusterStart(1), bytes('a3 ff')]),
      /SimpleBlock of unknown size/,
    ],
    [
      'a child that reaches past its Cluster',
      concat([HEADER, bytes('1f43b675 86 e7810a a3 85 00')]),
      /SimpleBlock reaches past its Cluster/,
    ],
    ['garbage between Clusters', concat([SHORT, bytes('bf84 00000000 00')]), /no element begins/],
    [
      'a Cluster of Voids',
      concat([HEADER, bytes('1f43b675 ff'), bytes('ec80 '.repeat(40))]),
      /without a Timecode/,
    ],
  ])('%s', (_name, stream, message) => {
    const reader = new MatroskaStreamReader(LIMITS)
    let thrown: unknown
    try {
      for (const byte of stream) reader.push(Uint8Array.of(byte))
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(MalformedMediaError)
    expect((thrown as Error).message).toMatch(message)
  })

  test.each<[string, Uint8Array, string]>([
    ['an endless header', endlessHeader(), 'HeaderTooLarge'],
    [
      'a block beyond the limit',
      concat([HEADER, clusterStart(1), bytes('a3 1f ffff fe')]),
      'ElementTooLarge',
    ],
  ])('%s', (_name, stream, code) => {
    const reader = new MatroskaStreamReader(LIMITS)
    expect(() => reader.push(stream)).toThrow(expect.objectContaining({ code }))
  })

  function endlessHeader(): Uint8Array {
    const start = HEADER.subarray(0, HEADER.length)
    return concat([
      start,
      ...Array.from({ length: 80 }, () => element(ElementId.Void, [new Uint8Array(1000)])),
    ])
  }
})

describe('against other readers and writers', () => {
  for (const name of ['kvs_clusters.mkv', 'kvs_output_get_media.mkv', 'kvs_vogels_480.mkv']) {
    const path = sharedMedia(name)
    test.skipIf(path === null)(`${name}: every sample, however it is cut`, () => {
      const file = readFileSync(path!)
      const expected = samplesByScan(file)

      expect(expected.length).toBeGreaterThan(100)
      for (const pieceBytes of [file.length, 65_536, 1_237]) {
        const { samples, isWhole } = samplesOf(file, pieceBytes)
        expect(samples).toEqual(expected)
        expect(isWhole).toBe(true)
      }
    })
  }

  test.skipIf(!isInstalled('ffmpeg', '-version'))(
    'what ffmpeg writes to a pipe and to a file',
    async () => {
      const path = join(await scratchDirectory(), 'a.mkv')
      const source = '-v error -f lavfi -i testsrc=size=128x96:rate=25 -f lavfi -i sine -t 6'.split(
        ' ',
      )
      const encode = '-c:v libx264 -g 25 -bf 2 -c:a aac -f matroska'.split(' ')
      execFileSync('ffmpeg', [...source, ...encode, path])
      const piped = execFileSync('ffmpeg', [...source, ...encode, '-'], { maxBuffer: 64 << 20 })

      for (const file of [readFileSync(path), piped]) {
        expect(samplesOf(file, 4_096).samples).toEqual(samplesByScan(file))
      }
    },
  )
})

test(`${CASES} mutated streams: an error of its own or events, in time that grows with the bytes`, () => {
  const random = createRandom(7)
  for (const bytes of mutations([SHORT, concat([SHORT, SHORT])], CASES)) {
    const reader = new MatroskaStreamReader(LIMITS)
    try {
      for (let at = 0; at < bytes.length;) {
        const piece = 1 + Math.floor(random() * 40)
        reader.push(bytes.subarray(at, at + piece))
        at += piece
      }
      reader.end()
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
    }
  }
})
