import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openArchive } from '../../../src/archive/index.ts'
import { LiveSessions, PutMediaSession, type Acknowledgement } from '../../../src/ingest/index.ts'
import { ElementId } from '../../../src/media/matroska/element-id.ts'
import {
  clusterStart,
  concat,
  element,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { openStreamRegistry } from '../../../src/registry/index.ts'
import { randomNumbers, VIDEO_TRACK } from '../../support/archive-media.ts'
import { FaultyDisk } from '../../support/failing-files.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { createObserved } from '../../support/observed.ts'
import { Recorder } from '../../support/recorder.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../../support/scratch.ts'

const AT = Date.UTC(2026, 0, 2)
const HEADER = toMatroskaHeader([VIDEO_TRACK])
const END = tagsElement([['AWS_KINESISVIDEO_END_OF_FRAGMENT', '']])

function block(relativeMs: number, isKey = false): Uint8Array {
  const payload = Uint8Array.of(0, 0, 0, 2, 9, 0x10)
  const head = { trackNumber: 1, relativeMs, isKey, payloadLength: payload.length }
  return concat([simpleBlockHead(head), payload])
}

const fragment = (atMs: number) =>
  concat([clusterStart(atMs), block(0, true), block(40), block(80)])

async function workplace(disk = new FaultyDisk()) {
  const clock = new ManualClock(AT)
  const observed = createObserved()
  const meta = await scratchMetaStore()
  const registry = await openStreamRegistry(meta, clock)
  const { info } = await registry.create({ name: 'x', retentionHours: 24 })
  const archive = untilTestEnds(
    await openArchive(
      {
        directory: join(await scratchDirectory(), 'media'),
        ...{ meta, clock, ...observed, files: disk.files },
      },
      {
        retentionMsOf: () => 86_400_000,
        nameOf: () => 'x',
        maxQueuedBytes: 1 << 20,
        maxChunkBytes: 1 << 30,
      },
    ),
  )
  const deps = { registry, archive, clock, ...observed }
  const sessions = new LiveSessions(deps)
  const open = async (change = {}) => {
    const acks = new Recorder<Acknowledgement>()
    const session = await PutMediaSession.open(
      { ...deps, sessions },
      { stream: 'x', peer: '127.0.0.1:1', producerStart: 0, acknowledge: acks.push, ...change },
    )
    return { session, acks }
  }
  const stored = () => archive.after(info.streamId, null, 10_000)
  return { clock, disk, archive, streamId: info.streamId, sessions, open, stored, observed }
}

const kinds = ({ items }: Recorder<Acknowledgement>) =>
  items.map((ack) => (ack.type === 'ERROR' ? ack.code : ack.type))

describe('silence', () => {
  test('is told every five seconds, and ends the call after half a minute', async () => {
    const { clock, open, sessions, observed } = await workplace()
    const { session, acks } = await open()
    void session.push(HEADER)
    for (let tick = 0; tick < 7; tick++) {
      await clock.sleeping(5_000)
      clock.advance(5_000)
      await acks.reaching(tick)
    }
    if (!session.over.aborted) await new Promise((resolve) => (session.over.onabort = resolve))
    await session.end('peer-closed')

    expect(kinds(acks)).toEqual(Array.from({ length: 6 }, () => 'IDLE'))
    expect(sessions.list()).toEqual([])
    const ended = observed.recorder.items.filter(({ name }) => name === 'sessionEnded')
    expect(ended.map(({ fields }) => fields.reason)).toEqual(['idle'])
  })

  test('ends with the next byte', async () => {
    const { clock, open } = await workplace()
    const { session, acks } = await open()
    for (let tick = 0; tick < 20; tick++) {
      await clock.sleeping(5_000)
      if (tick % 3 === 0)
        void session.push(tick === 0 ? HEADER : concat([fragment(AT + tick), END]))
      clock.advance(5_000)
    }
    await clock.sleeping(5_000)

    expect(session.over.aborted).toBe(false)
    expect(kinds(acks)).toContain('IDLE')
    await session.end('unpublished')
  })
})

describe('a disk that refuses', () => {
  test('is told of as ARCHIVAL_ERROR; the producer may send the fragment again when it is well', async () => {
    const { disk, open, stored } = await workplace()
    const first = await open()
    void first.session.push(concat([HEADER, fragment(AT), END]))
    await first.acks.first(({ type }) => type === 'PERSISTED')
    disk.plan = () => 'fail'
    void first.session.push(concat([fragment(AT + 1000), END]))
    const error = await first.acks.first(({ type }) => type === 'ERROR')
    await first.session.end('peer-closed')
    disk.plan = () => 'go'
    const again = await open()
    void again.session.push(concat([HEADER, fragment(AT + 1000), END]))
    await again.acks.first(({ type }) => type === 'PERSISTED')
    await again.session.end('unpublished')

    expect(error).toMatchObject({ code: 'ARCHIVAL_ERROR', fragment: { timecode: AT + 1000 } })
    expect(first.session.over.aborted).toBe(true)
    expect((await stored()).map((each) => each.producerTimestamp)).toEqual([AT, AT + 1000])
  })
})

describe('fragments that come in no order', () => {
  test.each([
    { rule: 'a clock that steps back', at: [0, 2000, -60_000, -58_000] },
    { rule: 'the same Timecode again', at: [0, 0, 0] },
    { rule: 'a clock that was never set', at: [-AT, -AT + 1000] },
    { rule: 'any millisecond', at: [1, 50, 103, 1_007, 1_331, 7_777, 9_999] },
    { rule: 'a jump ahead', at: [0, 86_400_000] },
    { rule: 'one that begins before the last has ended', at: [0, 50, 100] },
  ])('$rule: all are kept and acknowledged', async ({ at }) => {
    const { open, stored } = await workplace()
    const { session, acks } = await open()
    void session.push(concat([HEADER, ...at.map((offset) => fragment(AT + offset))]))
    await session.end('unpublished')

    expect(kinds(acks).filter((kind) => kind === 'PERSISTED')).toHaveLength(at.length)
    expect((await stored()).map((each) => each.producerTimestamp - AT)).toEqual(at)
  })

  test('a fragment sent again replaces the one before, by its time', async () => {
    const { open, archive, streamId } = await workplace()
    const first = await open()
    void first.session.push(concat([HEADER, fragment(AT), fragment(AT + 1000)]))
    await first.session.end('peer-closed')
    const again = await open()
    void again.session.push(concat([HEADER, fragment(AT + 1000), fragment(AT + 2000)]))
    await again.session.end('unpublished')

    const range = { by: 'producer', from: AT as never, to: (AT + 9000) as never, limit: 9 } as const
    const listed = await archive.list(streamId, range)

    expect(listed.map((each) => each.producerTimestamp - AT)).toEqual([0, 1000, 2000])
    const numbers = again.acks.items.flatMap((ack) =>
      ack.type === 'PERSISTED' ? [ack.fragment.number] : [],
    )
    expect(listed.slice(1).map(({ fragmentNumber }) => fragmentNumber)).toEqual(numbers)
  })
})

describe('what is no Matroska', () => {
  const STREAM = concat([
    HEADER,
    fragment(AT),
    tagsElement([['place', 'yard']]),
    fragment(AT + 1000),
    END,
  ])
  /** With Clusters of known size, as muxers to files write them. */
  const SIZED = concat([
    HEADER,
    ...[AT, AT + 1000].map((at) =>
      element(ElementId.Cluster, [clusterStart(at).subarray(12), block(0, true), block(40)]),
    ),
  ])

  test.each([
    ['unknown sizes', STREAM],
    ['known sizes', SIZED],
  ])(
    'a stream cut at any byte keeps what was whole, and costs nobody else (%s)',
    async (_rule, media) => {
      const { open, stored, sessions } = await workplace()
      for (let length = 0; length < media.length; length++) {
        const { session, acks } = await open()
        void session.push(Uint8Array.from(media.subarray(0, length)))
        await session.end('peer-closed')

        expect(kinds(acks).filter((kind) => kind.endsWith('ERROR'))).toEqual([])
        const told = (kind: string) => kinds(acks).filter((each) => each === kind).length
        expect(told('PERSISTED')).toBe(told('BUFFERING'))
      }

      expect(sessions.list()).toEqual([])
      const whole = await stored()
      expect(whole.every(({ sampleCount }) => sampleCount >= 1)).toBe(true)
      expect(whole.length).toBeGreaterThan(media.length / 4)
    },
  )

  test.each([
    ['no EBML header', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'INVALID_MKV_DATA'],
    ['another DocType', replaced('matroska', 'avi-file'), 'INVALID_MKV_DATA'],
    [
      'an EBML header without a Segment',
      concat([HEADER.subarray(0, 35), block(0)]),
      'INVALID_MKV_DATA',
    ],
    ['Clusters before Tracks', concat([headerStart(), fragment(AT)]), 'INVALID_MKV_DATA'],
    ['an endless header', endless(ElementId.Void), 'INVALID_MKV_DATA'],
    ['an element of no ID', concat([HEADER, Uint8Array.of(0, 0, 0, 0)]), 'INVALID_MKV_DATA'],
    [
      'a size of nine bytes',
      concat([HEADER, clusterStart(AT), Uint8Array.of(0xa3, 0, 1)]),
      'INVALID_MKV_DATA',
    ],
    [
      'a size beyond 2^53',
      concat([HEADER, clusterStart(AT), Uint8Array.from(Buffer.from('a301fffffffffffffe', 'hex'))]),
      'INVALID_MKV_DATA',
    ],
    [
      'a block that lies about its size',
      concat([HEADER, clusterStart(AT), Uint8Array.from(Buffer.from('a308ffffffff', 'hex'))]),
      'MAX_FRAGMENT_SIZE_REACHED',
    ],
    [
      'a block longer than its Cluster',
      concat([
        HEADER,
        Uint8Array.from(Buffer.from('1f43b67588', 'hex')),
        clusterStart(AT).subarray(12),
        block(0, true),
      ]),
      'INVALID_MKV_DATA',
    ],
    [
      'a block too short for its head',
      concat([HEADER, clusterStart(AT), Uint8Array.from(Buffer.from('a3818181', 'hex'))]),
      'INVALID_MKV_DATA',
    ],
    [
      'a second Segment without an EBML header',
      concat([HEADER, fragment(AT), HEADER.subarray(40)]),
      'INVALID_MKV_DATA',
    ],
    [
      'Tags that lie about what is in them',
      concat([HEADER, fragment(AT), Uint8Array.from(Buffer.from('1254c367867373ff67c88f', 'hex'))]),
      'INVALID_MKV_DATA',
    ],
    ['two tracks of one number', sameTracks(), 'INVALID_MKV_DATA'],
    [
      'a TimecodeScale of nothing',
      replacedHex('2ad7b1830f4240', '2ad7b183000000'),
      'INVALID_MKV_DATA',
    ],
  ])('%s', async (_defect, media, code) => {
    const { open, stored } = await workplace()
    const { session, acks } = await open()
    void session.push(concat([media, fragment(AT + 5000)]))
    await session.end('peer-closed')
    const next = await open()
    void next.session.push(concat([HEADER, fragment(AT + 60_000)]))
    await next.session.end('unpublished')

    expect(kinds(acks).at(-1)).toBe(code)
    expect(session.over.aborted).toBe(true)
    expect(kinds(next.acks)).toEqual(['BUFFERING', 'RECEIVED', 'PERSISTED'])
    expect((await stored()).at(-1)!.producerTimestamp).toBe(AT + 60_000)
  })

  test('anything at all ends that call at worst', async () => {
    const { open, sessions } = await workplace()
    const random = randomNumbers(20_260_102)
    for (let round = 0; round < 300; round++) {
      const media = Uint8Array.from(STREAM)
      for (let change = 0; change <= random(4); change++) {
        media[random(media.length)] = random(256)
      }
      const { session, acks } = await open()
      for (let at = 0; at < media.length;) {
        const length = 1 + random(90)
        void session.push(media.slice(at, at + length))
        at += length
      }
      await session.end('peer-closed')
      expect(kinds(acks).filter((kind) => kind === 'ARCHIVAL_ERROR')).toEqual([])
    }

    expect(sessions.list()).toEqual([])
  })

  function replaced(from: string, to: string): Uint8Array {
    return Uint8Array.from(
      Buffer.from(Buffer.from(HEADER).toString('latin1').replace(from, to), 'latin1'),
    )
  }

  function replacedHex(from: string, to: string): Uint8Array {
    return Uint8Array.from(
      Buffer.from(Buffer.from(HEADER).toString('hex').replace(from, to), 'hex'),
    )
  }

  function headerStart(): Uint8Array {
    const tracks = Buffer.from(HEADER).indexOf(Buffer.from('1654ae6b', 'hex'))
    return HEADER.subarray(0, tracks)
  }

  function endless(id: number): Uint8Array {
    return concat([headerStart(), element(id, [new Uint8Array(2 << 20)])])
  }

  function sameTracks(): Uint8Array {
    return toMatroskaHeader([VIDEO_TRACK, VIDEO_TRACK])
  }
})
