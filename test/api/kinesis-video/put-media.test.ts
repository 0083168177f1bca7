import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { epochMs } from '../../../src/domain/time.ts'
import { CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { ElementId } from '../../../src/media/matroska/element-id.ts'
import {
  clusterStart,
  concat,
  element,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
} from '../../../src/media/matroska/writer.ts'
import { isInstalled } from '../../support/installed.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { sharedMedia } from '../../support/shared-media.ts'
import { Producer, runKinesisVideoApi, signedHeaders, type Ack } from './running-video-api.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

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
const block = (
  relativeMs: number,
  payload: readonly number[],
  options: { key?: boolean; track?: number } = {},
) =>
  concat([
    simpleBlockHead({
      trackNumber: options.track ?? 1,
      relativeMs,
      isKey: options.key ?? false,
      payloadLength: payload.length,
    }),
    Uint8Array.from(payload),
  ])
const AT = Date.UTC(2026, 0, 2, 3, 4, 5)
/** Two frames, one second apart. */
const fragment = (atMs: number) =>
  concat([clusterStart(atMs), block(0, [1, 2, 3], { key: true }), block(900, [4])])
const END = tagsElement([['AWS_KINESISVIDEO_END_OF_FRAGMENT', '']])
const kinds = (acks: readonly Ack[]) => acks.map(({ EventType }) => EventType)

describe('a producer', () => {
  test('is told of each fragment while it sends, and finds it stored byte for byte', async () => {
    const { port, stored, sessions, event } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.send(concat([HEADER, fragment(AT)]))

    await producer.acks.first(({ EventType }) => EventType === 'BUFFERING')
    expect((await producer.answered).statusCode).toBe(200)
    expect(sessions.list()).toMatchObject([
      { stream: 'x', protocol: 'put-media', tracks: [{ codec: CODEC_AVC }] },
    ])
    producer.send(tagsElement([['place', 'yard']]))
    producer.send(fragment(AT + 1000))
    await producer.acks.first(({ EventType }) => EventType === 'PERSISTED')
    producer.end(fragment(AT + 2000))
    await event('sessionEnded', { reason: 'unpublished' })
    await producer.closed

    const byFragment = [AT, AT + 1000, AT + 2000].map((timecode) =>
      producer.acks.items.filter(({ FragmentTimecode }) => FragmentTimecode === timecode),
    )
    for (const acks of byFragment) {
      expect(kinds(acks)).toEqual(['BUFFERING', 'RECEIVED', 'PERSISTED'])
      expect(new Set(acks.map(({ FragmentNumber }) => FragmentNumber)).size).toBe(1)
    }
    const fragments = await stored()
    expect(fragments.map((each) => each.fragment.producerTimestamp)).toEqual([
      AT,
      AT + 1000,
      AT + 2000,
    ])
    expect(fragments.map((each) => each.fragment.fragmentNumber)).toEqual(
      byFragment.map(([ack]) => ack!.FragmentNumber),
    )
    expect(fragments.map((each) => each.fragment.discontinuity)).toEqual([true, false, false])
    expect(sessions.list()).toEqual([])
  })

  test('that ends a fragment by its tag need not begin the next to have it persisted', async () => {
    const { port } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.send(concat([HEADER, fragment(AT), END]))

    await producer.acks.first(({ EventType }) => EventType === 'PERSISTED')

    expect(kinds(producer.acks.items)).toEqual(['BUFFERING', 'RECEIVED', 'PERSISTED'])
    producer.breakOff()
  })

  test('with relative Timecodes: they are echoed and kept, and count from its start', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port, {
      'x-amzn-fragment-timecode-type': 'RELATIVE',
      'x-amzn-producer-start-timestamp': `${AT / 1000}.5`,
    })
    producer.end(concat([HEADER, fragment(0), fragment(1800)]))
    await producer.closed

    expect(producer.acks.items.map((ack) => ack.FragmentTimecode).toSorted()).toEqual([
      0, 0, 0, 1800, 1800, 1800,
    ])
    const fragments = await stored()
    expect(fragments.map((each) => each.fragment.producerTimestamp - AT)).toEqual([500, 2300])
    expect(fragments[1]!.samples.map(({ ptsMs }) => ptsMs)).toEqual([1800, 2700])
  })

  test('that breaks off keeps what was complete, and the tail', async () => {
    const { port, stored, event } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.send(concat([HEADER, fragment(AT), fragment(AT + 1000).subarray(0, -3)]))
    await producer.acks.first(({ FragmentTimecode }) => FragmentTimecode === AT + 1000)
    producer.breakOff()
    await event('sessionEnded', { reason: 'peer-closed' })

    expect((await stored()).map(({ samples }) => samples.length)).toEqual([2, 1])
  })

  test('a stream without an archive: RECEIVED is the last that it hears', async () => {
    const { port, registry } = await runKinesisVideoApi()
    await registry.update('x', { retentionHours: 0 })
    const producer = await Producer.open(port)
    producer.end(concat([HEADER, fragment(AT)]))
    await producer.closed

    expect(kinds(producer.acks.items)).toEqual(['BUFFERING', 'RECEIVED'])
  })

  test.each([
    { signs: 'nothing of its body', hash: null },
    { signs: 'that its body is not signed', hash: 'UNSIGNED-PAYLOAD' },
    { signs: 'the hash of its body', hash: sha256(concat([HEADER, fragment(AT)])) },
  ])('signs $signs, as official clients do, and asks for no acknowledgements', async ({ hash }) => {
    const { port, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port, {
      'x-amzn-fragment-acknowledgment-required': '0',
      ...(hash === null ? {} : { 'x-amz-content-sha256': hash }),
    })
    producer.end(concat([HEADER, fragment(AT)]))
    await producer.closed

    expect(producer.body).toBe('')
    expect(await stored()).toHaveLength(1)
  })

  test('that asks first is told to continue', async () => {
    const { port } = await runKinesisVideoApi()
    const headers = await signedHeaders(port)
    const socket = connect(port, '127.0.0.1')
    const lines = Object.entries({
      ...headers,
      expect: '100-continue',
      'transfer-encoding': 'chunked',
    })
    socket.write(
      `POST /putMedia HTTP/1.1\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`,
    )

    const [answer] = (await once(socket, 'data')) as [Buffer]

    expect(answer.toString()).toMatch(/^HTTP\/1\.1 100 Continue\r\n/)
    socket.destroy()
  })

  test('may open another call before the last has drained: all is kept, in order of its time', async () => {
    const { port, stored, sessions } = await runKinesisVideoApi()
    const old = await Producer.open(port)
    old.send(concat([HEADER, fragment(AT)]))
    await old.acks.reaching(1)
    const next = await Producer.open(port)
    next.end(concat([HEADER, fragment(AT + 2000), fragment(AT + 3000)]))
    await next.answered
    expect(sessions.list()).toHaveLength(2)
    old.end(concat([fragment(AT + 1000), END]))
    await old.closed
    await next.closed

    for (const { acks } of [old, next]) {
      expect(kinds(acks.items).toSorted()).toEqual(
        ['BUFFERING', 'BUFFERING', 'PERSISTED', 'PERSISTED', 'RECEIVED', 'RECEIVED'].toSorted(),
      )
    }
    const fragments = await stored()
    expect(fragments.map((each) => each.fragment.producerTimestamp - AT)).toEqual([
      0, 1000, 2000, 3000,
    ])
    expect(fragments.map((each) => each.fragment.discontinuity)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test('whose old call says nothing more goes on with the new one, and may send it again', async () => {
    const clock = new ManualClock(Date.now())
    const running = await runKinesisVideoApi(new Map(), { clock })
    const { port, archive, streamId } = running
    const old = await Producer.open(port)
    old.send(concat([HEADER, fragment(AT)]))
    await old.acks.reaching(1)
    const next = await Producer.open(port)
    next.end(concat([HEADER, fragment(AT), fragment(AT + 1000)]))
    await next.answered
    for (let tick = 0; tick < 4; tick++) {
      await Promise.race([clock.sleeping(5_000), old.closed])
      clock.advance(5_000)
    }
    await old.closed
    await next.closed

    expect(old.acks.items.at(-1)).toMatchObject({
      ...{ EventType: 'ERROR', ErrorId: 4000, ErrorCode: 'STREAM_READ_ERROR' },
      FragmentTimecode: AT,
    })
    expect(kinds(old.acks.items)).not.toContain('PERSISTED')
    expect(kinds(next.acks.items).filter((kind) => kind === 'PERSISTED')).toHaveLength(2)
    expect(await archive.after(streamId, null, 9)).toHaveLength(3)
    const range = { by: 'producer', from: epochMs(0), to: epochMs(AT + 9000), limit: 9 } as const
    const listed = await archive.list(streamId, range)
    expect(listed.map(({ fragmentNumber }) => fragmentNumber)).toEqual(
      next.acks.items
        .filter(({ EventType }) => EventType === 'PERSISTED')
        .map(({ FragmentNumber }) => FragmentNumber),
    )
  })

  test.each([
    {
      rule: 'as many calls as there may be',
      others: 5,
      refused: 'ConnectionLimitExceededException',
    },
  ])('beside $rule is refused, and they go on', async ({ others, refused }) => {
    const { port } = await runKinesisVideoApi()
    const calls = []
    for (let i = 0; i < others; i++) {
      const call = await Producer.open(port)
      call.send(HEADER)
      await call.answered
      calls.push(call)
    }

    const tooMany = await Producer.open(port)
    tooMany.send(HEADER)
    const { statusCode, headers } = await tooMany.answered
    await tooMany.closed
    for (const [i, call] of calls.entries()) {
      call.end(fragment(AT + i * 1000))
      await call.closed
    }

    expect([statusCode, headers['x-amzn-errortype']]).toEqual([400, refused])
    for (const call of calls) {
      expect(kinds(call.acks.items)).toEqual(['BUFFERING', 'RECEIVED', 'PERSISTED'])
    }
  })

  test('is told to come again when the service stops, and what it sent is kept', async () => {
    const { port, api, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.send(concat([HEADER, fragment(AT), fragment(AT + 1000)]))
    await producer.acks.first(({ EventType }) => EventType === 'PERSISTED')
    await api.close()
    await producer.closed

    expect(producer.acks.items.at(-1)).toMatchObject({ EventType: 'ERROR', ErrorId: 5000 })
    expect(await stored()).toHaveLength(1)
  })
})

describe('a call that is refused before it sends', () => {
  test.each<[string, Record<string, string>, number, string, RegExp]>([
    [
      'no such stream',
      { 'x-amzn-stream-name': 'y' },
      404,
      'ResourceNotFoundException',
      /not found/,
    ],
    [
      'a name and an ARN',
      { 'x-amzn-stream-arn': 'arn:aws:kinesisvideo:a:1:stream/x/1' },
      400,
      'InvalidArgumentException',
      /exactly one/,
    ],
    ['a bad name', { 'x-amzn-stream-name': 'a/b' }, 400, 'InvalidArgumentException', /stream-name/],
    [
      'an unknown timecode type',
      { 'x-amzn-fragment-timecode-type': 'LOCAL' },
      400,
      'InvalidArgumentException',
      /ABSOLUTE or RELATIVE/,
    ],
    [
      'relative without a start',
      { 'x-amzn-fragment-timecode-type': 'RELATIVE' },
      400,
      'InvalidArgumentException',
      /producer-start-timestamp/,
    ],
  ])('%s', async (_rule, headers, status, type, message) => {
    const { port } = await runKinesisVideoApi()
    const producer = await Producer.open(port, headers)
    producer.send(HEADER)
    const answer = await producer.answered
    await producer.closed

    expect([answer.statusCode, answer.headers['x-amzn-errortype']]).toEqual([status, type])
    expect((JSON.parse(producer.body) as { Message: string }).Message).toMatch(message)
  })

  test('no signature, a wrong one, one that does not cover the stream', async () => {
    const { port } = await runKinesisVideoApi()
    const signed = await signedHeaders(port)
    const results: (number | undefined)[] = []
    const attempts: Record<string, string>[] = [
      { 'x-amzn-stream-name': 'x', 'x-amzn-fragment-timecode-type': 'ABSOLUTE' },
      { ...signed, authorization: signed.authorization!.replace(/.$/, 'x') },
      { ...signed, 'x-amzn-stream-name': 'y' },
    ]
    for (const headers of attempts) {
      const producer = Producer.unsigned(port, headers)
      producer.send(HEADER)
      results.push((await producer.answered).statusCode)
      await producer.closed
    }

    expect(results).toEqual([403, 403, 403])
  })
})

describe('media that is refused costs its fragment and session, with the right ERROR', () => {
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  const manyTracks = toMatroskaHeader(
    Array.from({ length: 11 }, (_, i) => ({ ...TRACK, number: i + 1 })),
  )
  const tags = (count: number) =>
    tagsElement(Array.from({ length: count }, (_, i) => [`tag ${i}`, 'value'] as const))
  test.each<[string, Uint8Array, number, string]>([
    ['no Matroska', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 4006, 'INVALID_MKV_DATA'],
    [
      'an endless header',
      concat([HEADER, element(ElementId.Void, [new Uint8Array(2 << 20)])]),
      4006,
      'INVALID_MKV_DATA',
    ],
    [
      'Tracks after the start',
      concat([HEADER, fragment(AT), bytes('1654ae6b 80')]),
      4006,
      'INVALID_MKV_DATA',
    ],
    [
      'a block before its Timecode',
      concat([HEADER, bytes('1f43b675 ff'), block(0, [1])]),
      4006,
      'INVALID_MKV_DATA',
    ],
    [
      'an element of a size that lies',
      concat([HEADER, fragment(AT), bytes('a3 08 ffffffff')]),
      4001,
      'MAX_FRAGMENT_SIZE_REACHED',
    ],
    [
      'a block of an undeclared track',
      concat([HEADER, clusterStart(AT), block(0, [1], { track: 2 })]),
      4010,
      'TRACK_NUMBER_MISMATCH',
    ],
    [
      'a Timecode in nanoseconds',
      concat([HEADER, fragment(AT * 1000)]),
      4007,
      'INVALID_PRODUCER_TIMESTAMP',
    ],
    ['too many tracks', concat([manyTracks, fragment(AT)]), 4012, 'MORE_THAN_ALLOWED_TRACKS_FOUND'],
    [
      'too many tags',
      concat([HEADER, fragment(AT), tags(11)]),
      4009,
      'FRAGMENT_METADATA_LIMIT_REACHED',
    ],
    [
      'a tag of a reserved name',
      concat([HEADER, fragment(AT), tagsElement([['AWSome', 'x']])]),
      4009,
      'FRAGMENT_METADATA_LIMIT_REACHED',
    ],
    [
      'a tag name too long',
      concat([HEADER, fragment(AT), tagsElement([['n'.repeat(129), 'x']])]),
      4009,
      'FRAGMENT_METADATA_LIMIT_REACHED',
    ],
  ])('%s', async (_defect, media, id, code) => {
    const { port, event, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.send(media)

    const error = await producer.acks.first(({ EventType }) => EventType === 'ERROR')
    await producer.closed
    await event('sessionEnded', { reason: 'protocol-error' })
    const next = await Producer.open(port)
    next.end(concat([HEADER, fragment(AT + 60_000)]))
    await next.closed

    expect(error).toMatchObject({ ErrorId: id, ErrorCode: code })
    expect(kinds(next.acks.items)).toEqual(['BUFFERING', 'RECEIVED', 'PERSISTED'])
    expect((await stored()).map((each) => each.fragment.producerTimestamp)).toEqual([AT + 60_000])
  })
})

const haveTools = isInstalled('ffmpeg', '-version') && isInstalled('curl', '--version')
describe.skipIf(!haveTools)('what others send', () => {
  const clip = sharedMedia('kvs_vogels_480.mkv')
  test.skipIf(clip === null)('ffmpeg writes, curl sends: every packet is stored', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const headers = await signedHeaders(port, {
      'x-amzn-fragment-timecode-type': 'RELATIVE',
      'x-amzn-producer-start-timestamp': String(AT / 1000),
    })
    const ffmpeg = spawn(
      'ffmpeg',
      ['-v', 'error', '-i', clip!, '-c', 'copy', '-f', 'matroska', '-'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const curl = spawn(
      'curl',
      [
        ...['-sS', '-N', '-X', 'POST', '-T', '-', `http://127.0.0.1:${port}/putMedia`],
        ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
      ],
      { stdio: [ffmpeg.stdout, 'pipe', 'inherit'] },
    )
    let answer = ''
    curl.stdout.setEncoding('utf8').on('data', (text: string) => (answer += text))
    const [code] = (await once(curl, 'close')) as [number]

    expect(code).toBe(0)
    expect(answer.trim().split('\r\n').at(-1)).toMatch(/"EventType":"PERSISTED"/)
    const fragments = await stored()
    const packets = (stream: string) =>
      execFileSync('ffprobe', [
        ...[
          '-v',
          'error',
          '-select_streams',
          stream,
          '-show_entries',
          'packet=size',
          '-of',
          'csv=p=0',
          clip!,
        ],
      ])
        .toString()
        .trim()
        .split(/\s+/)
        .map((text) => Number(text.replace(',', '')))
    for (const [number, stream] of [
      [1, 'v'],
      [2, 'a'],
    ] as const) {
      const sizes = fragments.flatMap(({ samples }) =>
        samples.filter((sample) => sample.trackNumber === number).map(({ data }) => data.length),
      )
      expect(sizes).toEqual(packets(stream))
    }
  })

  const delivered = sharedMedia('kvs_output_get_media.mkv')
  test.skipIf(delivered === null)('what GetMedia delivered can be sent again', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.end(readFileSync(delivered!))
    await producer.closed

    expect((await stored()).length).toBe(5)
    expect(producer.acks.items.filter(({ EventType }) => EventType === 'PERSISTED')).toHaveLength(5)
  })
})
