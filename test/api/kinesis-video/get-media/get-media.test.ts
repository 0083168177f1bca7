import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { GetMediaCommand, type StartSelector } from '@aws-sdk/client-kinesis-video-media'
import { describe, expect, onTestFinished, test } from 'vitest'
import { trailingTags } from '../../../../src/api/kinesis-video/get-media/fragment-document.ts'
import { MediaReaders } from '../../../../src/api/kinesis-video/index.ts'
import {
  predecessorOf,
  toFragmentNumber,
  type FragmentNumber,
} from '../../../../src/domain/fragment.ts'
import { epochMs } from '../../../../src/domain/time.ts'
import { ElementId } from '../../../../src/media/matroska/element-id.ts'
import { scanElements } from '../../../../src/media/matroska/scanner.ts'
import { writeFragment, appendFragment } from '../../../support/archive-media.ts'
import { demux } from '../../../playback/support/demux.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { sharedMedia } from '../../../support/shared-media.ts'
import { ACCESS_KEY, Producer, runKinesisVideoApi } from '../running-video-api.ts'
import {
  isWhole,
  mediaClient,
  numberOf,
  startReading,
  tagsOf,
  toDocuments,
} from './media-reading.ts'

/** Wide enough that no fragment is hidden by age. */
const now = Date.now()
const T = now - 3_600_000

async function runGetMedia(options: { idleMs?: number; maxReadersPerStream?: number } = {}) {
  const running = await runKinesisVideoApi(new Map(), {
    mediaReaders: new MediaReaders({ maxReadersPerStream: 3, idleMs: 60_000, ...options }),
  })
  const client = mediaClient(running.port)
  /** Fragments ten seconds apart, two seconds long. */
  const write = async (count: number, producerOffset = 0) => {
    await using writer = await running.archive.openWriter(running.streamId)
    const written = []
    for (let i = 0; i < count; i++) {
      const at = T + i * 10_000
      written.push(await writeFragment(writer, { at, producerAt: at - producerOffset }))
    }
    return written
  }
  return {
    ...{ ...running, client, write },
    read: (selector: StartSelector) => startReading(client, selector),
  }
}

describe('where an answer begins', () => {
  type Written = readonly { readonly fragmentNumber: FragmentNumber }[]
  const rows: readonly [string, (written: Written) => StartSelector, number][] = [
    ['EARLIEST: with the oldest', () => ({ StartSelectorType: 'EARLIEST' }), 0],
    ['NOW: with the newest that is complete', () => ({ StartSelectorType: 'NOW' }), 3],
    [
      'FRAGMENT_NUMBER: behind it',
      (written) => ({
        StartSelectorType: 'FRAGMENT_NUMBER',
        AfterFragmentNumber: written[1]!.fragmentNumber,
      }),
      2,
    ],
    [
      'FRAGMENT_NUMBER of one that the retention took: with the next that is there',
      (written) => ({
        StartSelectorType: 'FRAGMENT_NUMBER',
        AfterFragmentNumber: predecessorOf(written[0]!.fragmentNumber)!,
      }),
      0,
    ],
    [
      'CONTINUATION_TOKEN: behind the fragment it came with',
      (written) => ({
        StartSelectorType: 'CONTINUATION_TOKEN',
        ContinuationToken: written[2]!.fragmentNumber,
      }),
      3,
    ],
    ['SERVER_TIMESTAMP: with what contains it', serverTime(T + 10_500), 1],
    ['SERVER_TIMESTAMP between two: with the next', serverTime(T + 12_500), 2],
    ['SERVER_TIMESTAMP before all: with the oldest', serverTime(T - 1e6), 0],
    ['PRODUCER_TIMESTAMP: with what contains it', producerTime(T + 15_500), 2],
    ['PRODUCER_TIMESTAMP between two: with the next', producerTime(T + 18_000), 3],
  ]
  function serverTime(at: number) {
    return (): StartSelector => ({
      StartSelectorType: 'SERVER_TIMESTAMP',
      StartTimestamp: new Date(at),
    })
  }
  function producerTime(at: number) {
    return (): StartSelector => ({
      StartSelectorType: 'PRODUCER_TIMESTAMP',
      StartTimestamp: new Date(at),
    })
  }
  test.each(rows)('%s', async (_rule, selectorOf, first) => {
    const { write, read } = await runGetMedia()
    const written = await write(4, 5_000)

    const reading = await read(selectorOf(written))
    const documents = await reading.reaching(4 - first)

    expect(documents.map(numberOf)).toEqual(
      written.slice(first).map(({ fragmentNumber }) => fragmentNumber),
    )
    expect(reading.contentType).toBe('video/webm')
  })

  test.each([
    ['a time', serverTime(now + 1e6)()],
    ['NOW', { StartSelectorType: 'NOW' } as const],
  ])('%s with nothing there yet: with the first to come', async (_rule, selector) => {
    const { read, archive, streamId } = await runGetMedia()
    const reading = await read(selector)
    await using writer = await archive.openWriter(streamId)

    const { fragmentNumber } = await writeFragment(writer, { at: now })

    expect((await reading.reaching(1)).map(numberOf)).toEqual([fragmentNumber])
  })

  test.each<[string, StartSelector, RegExp]>([
    ['FRAGMENT_NUMBER', { StartSelectorType: 'FRAGMENT_NUMBER' }, /AfterFragmentNumber/],
    ['SERVER_TIMESTAMP', { StartSelectorType: 'SERVER_TIMESTAMP' }, /StartTimestamp/],
    ['CONTINUATION_TOKEN', { StartSelectorType: 'CONTINUATION_TOKEN' }, /ContinuationToken/],
    [
      'FRAGMENT_NUMBER',
      { StartSelectorType: 'FRAGMENT_NUMBER', AfterFragmentNumber: '12' },
      /AfterFragmentNumber/,
    ],
    [
      'CONTINUATION_TOKEN',
      { StartSelectorType: 'CONTINUATION_TOKEN', ContinuationToken: 'a.b-c' },
      /ContinuationToken/,
    ],
    ['LATER', { StartSelectorType: 'LATER' as 'NOW' }, /enum value set/],
  ])('%s without what it needs is refused', async (_type, selector, message) => {
    const { read } = await runGetMedia()

    await expect(read(selector)).rejects.toMatchObject({
      name: 'InvalidArgumentException',
      message: expect.stringMatching(message) as string,
      $metadata: { httpStatusCode: 400 },
    })
  })

  test('a number of an earlier stream of that name is told as not found', async () => {
    const { read, write } = await runGetMedia()
    await write(1)
    const foreign = toFragmentNumber({
      counter: 70,
      serverTimestamp: epochMs(T - 1e9),
      random28: 1,
    })
    const reading = await read({
      StartSelectorType: 'FRAGMENT_NUMBER',
      AfterFragmentNumber: foreign,
    })

    const [document] = await reading.over()

    expect(tagsOf(document!)).toEqual({
      AWS_KINESISVIDEO_FRAGMENT_NUMBER: foreign,
      AWS_KINESISVIDEO_ERROR_ID: '4000',
      AWS_KINESISVIDEO_ERROR_CODE: 'FRAGMENT_NOT_FOUND',
    })
  })
})

const captured = sharedMedia('kvs_output_get_media.mkv')
test.skipIf(captured === null)('bytes are those that the service sent', async () => {
  const { port, read } = await runGetMedia()
  const bytes = readFileSync(captured!)
  const producer = await Producer.open(port, {
    'x-amzn-fragment-timecode-type': 'RELATIVE',
    'x-amzn-producer-start-timestamp': '1511852108.513',
  })
  producer.end(bytes)
  await producer.closed

  const ours = await (await read({ StartSelectorType: 'EARLIEST' })).reaching(5)

  const theirs = toDocuments(bytes)
  expect(ours).toHaveLength(theirs.length)
  for (const [i, document] of theirs.entries()) {
    const [wanted, found] = [document, ours[i]!].map(inParts)
    expect(found!.header.equals(wanted!.header)).toBe(true)
    expect(found!.leading.equals(withNumberAndTime(wanted!.leading, ours[i]!))).toBe(true)
    expect(found!.media.equals(wanted!.media)).toBe(true)
    const { trailing, tags } = wanted!
    expect(trailing.equals(Buffer.from(trailingTags(toTrailing(tags))))).toBe(true)
    expect(found!.trailing.equals(Buffer.from(trailingTags(toTrailing(found!.tags))))).toBe(true)
  }
})

type Tags = Record<string, string>

function toTrailing(tags: Tags) {
  return {
    fragmentNumber: tags.AWS_KINESISVIDEO_CONTINUATION_TOKEN as FragmentNumber,
    millisBehindNow: Number(tags.AWS_KINESISVIDEO_MILLIS_BEHIND_NOW),
  }
}

/** The producer's header, our Tags, the Cluster's payload (its size is known, or is not), our Tags. */
function inParts(document: Buffer) {
  const elements = [...scanElements(document)]
  const cluster = elements.findIndex(({ id }) => id === ElementId.Cluster)
  const part = (i: number) => document.subarray(elements[i]!.offset, elements[i]!.end)
  return {
    header: document.subarray(0, elements[cluster - 1]!.offset),
    leading: part(cluster - 1),
    media: document.subarray(elements[cluster]!.dataOffset, elements[cluster]!.end),
    trailing: part(elements.length - 1),
    tags: tagsOf(document),
  }
}

/** Their bytes with what is ours to say. Both values are as long as theirs. */
function withNumberAndTime(leading: Buffer, ours: Buffer): Buffer {
  let text = leading.toString('latin1')
  const theirs = tagsOf(leading)
  for (const name of ['AWS_KINESISVIDEO_FRAGMENT_NUMBER', 'AWS_KINESISVIDEO_SERVER_TIMESTAMP']) {
    text = text.replace(theirs[name]!, tagsOf(ours)[name]!)
  }
  return Buffer.from(text, 'latin1')
}

describe('the live tail', () => {
  test('blocks are forwarded while the fragment grows', async () => {
    const { read, write, archive, streamId } = await runGetMedia()
    await write(1)
    const reading = await read({ StartSelectorType: 'NOW' })
    await reading.reaching(1)
    await using writer = await archive.openWriter(streamId)
    await writeFragment(writer, { at: now })
    await reading.reaching(2)

    const open = appendFragment(writer, { at: now + 2000, frames: 4 })
    const growing = (
      await reading.until(
        (documents) => documents.length === 3 && documents[2]!.includes(Buffer.alloc(40, 4)),
      )
    )[2]!

    expect(isWhole(growing)).toBe(false)
    expect(numberOf(growing)).toBe(open)
    const fragment = await writer.end(null)
    const whole = (await reading.reaching(3))[2]!
    const stored = await archive.read(fragment)
    expect(whole.includes(Buffer.from(stored.bytes))).toBe(true)
    expect(whole.subarray(0, growing.length).equals(growing)).toBe(true)
  })
})

describe('readers', () => {
  const EARLIEST = { StartSelectorType: 'EARLIEST' } as const

  test('get the same from one place on, however many there are', async () => {
    const { read, archive, streamId, observed } = await runGetMedia({ maxReadersPerStream: 20 })
    const readings = await Promise.all(Array.from({ length: 20 }, () => read(EARLIEST)))
    await using writer = await archive.openWriter(streamId)
    const written = []
    for (let i = 0; i < 5; i++) {
      written.push(await writeFragment(writer, { at: now + i * 2000, frameBytes: 5000 }))
    }

    const all = await Promise.all(readings.map((reading) => reading.reaching(5)))

    const media = (document: Buffer) => digest(inParts(document).media)
    for (const documents of all) {
      expect(documents.map(numberOf)).toEqual(written.map(({ fragmentNumber }) => fragmentNumber))
      expect(documents.map(media)).toEqual(all[0]!.map(media))
    }
    expect(await readersOf(observed)).toBe(20)
  })

  test('more than there may be are refused, and may come when others have left', async () => {
    const { read, write, observed } = await runGetMedia({ maxReadersPerStream: 1 })
    await write(1)
    const first = await read(EARLIEST)
    await first.reaching(1)

    await expect(read(EARLIEST)).rejects.toMatchObject({
      name: 'ConnectionLimitExceededException',
      $metadata: { httpStatusCode: 400 },
    })
    first.leave()
    await untilNoReader(observed)

    expect(await (await read(EARLIEST)).reaching(1)).toHaveLength(1)
  })

  test('are told of the end when no media came for a while', async () => {
    const { read, write } = await runGetMedia({ idleMs: 200 })
    const written = await write(2)

    const documents = await (await read(EARLIEST)).over()

    expect(documents.map(numberOf)).toEqual(written.map(({ fragmentNumber }) => fragmentNumber))
    expect(documents.map(isWhole)).toEqual([true, true])
  })

  test('are let go when the service stops, between two fragments or within one', async () => {
    const { read, write, api, archive, streamId } = await runGetMedia()
    await write(1)
    const reading = await read(EARLIEST)
    await reading.reaching(1)
    const writer = await archive.openWriter(streamId)
    await writeFragment(writer, { at: now })
    await reading.reaching(2)
    appendFragment(writer, { at: now + 2000 })
    await reading.until((documents) => documents.length === 3)
    await api.close()

    expect((await reading.over()).map(isWhole)).toEqual([true, true, false])
    await writer[Symbol.asyncDispose]()
  })

  test('that take nothing are cut loose, and others are not kept waiting', async () => {
    const running = await runKinesisVideoApi(new Map(), { readerStallMs: 3_000 })
    const { archive, streamId, port, observed } = running
    const client = mediaClient(port)
    await using writer = await archive.openWriter(streamId)
    for (let i = 0; i < 16; i++) {
      await writeFragment(writer, { at: now + i * 2000, frameBytes: 1 << 19 })
    }
    const answer = await client.send(
      new GetMediaCommand({ StreamName: 'x', StartSelector: EARLIEST }),
    )
    const stalled = answer.Payload as unknown as Readable
    onTestFinished(() => void stalled.destroy())

    const other = await client.send(
      new GetMediaCommand({ StreamName: 'x', StartSelector: EARLIEST }),
    )
    const prompt = other.Payload as unknown as Readable
    onTestFinished(() => void prompt.destroy())
    let received = 0
    for await (const part of prompt as AsyncIterable<Buffer>) {
      received += part.length
      if (received > 16 * 5 * (1 << 19)) break
    }
    await untilNoReader(observed)
    stalled.resume()

    await expect(once(stalled, 'end')).rejects.toThrow(/aborted/)
  })

  test.each([
    ['no such stream', { StreamName: 'y' }, 'ResourceNotFoundException', 404],
    [
      'an earlier stream of that name',
      { StreamARN: 'arn:aws:kinesisvideo:us-west-2:123456789012:stream/x/1' },
      'ResourceNotFoundException',
      404,
    ],
    ['neither name nor ARN', {}, 'InvalidArgumentException', 400],
  ])('of %s are refused', async (_rule, stream, name, httpStatusCode) => {
    const { client } = await runGetMedia()

    await expect(
      client.send(new GetMediaCommand({ ...stream, StartSelector: EARLIEST })),
    ).rejects.toMatchObject({ name, $metadata: { httpStatusCode } })
  })

  type Observed = Awaited<ReturnType<typeof runGetMedia>>['observed']

  async function readersOf({ metrics }: Observed): Promise<number> {
    const { values } = await metrics.getMediaReaders.get()
    return values.reduce((sum, { value }) => sum + value, 0)
  }

  async function untilNoReader(observed: Observed): Promise<void> {
    while ((await readersOf(observed)) > 0) {
      await new Promise<void>((resolve) => setTimeout(resolve, 10))
    }
  }
})

const clip = sharedMedia('kvs_vogels_480.mkv')
describe.skipIf(clip === null)('what was put', () => {
  test('comes out as it went in, packet for packet, for FFmpeg', async () => {
    const { port } = await runGetMedia()
    const producer = await Producer.open(port, {
      'x-amzn-fragment-timecode-type': 'RELATIVE',
      'x-amzn-producer-start-timestamp': String(Math.floor(T / 1000)),
    })
    producer.end(readFileSync(clip!))
    await producer.closed
    const fragments = producer.acks.items.filter(({ EventType }) => EventType === 'PERSISTED')
    const reading = await startReading(mediaClient(port), { StartSelectorType: 'EARLIEST' })
    const documents = await reading.reaching(fragments.length)
    const path = join(await scratchDirectory(), 'got.mkv')

    const found = []
    for (const document of documents) {
      await writeFile(path, document)
      found.push(...(await demux(path)).packets)
    }

    const { packets } = await demux(clip!)
    const byTrack = (list: typeof packets, track: number) =>
      list.filter(({ trackNumber }) => trackNumber === track).map(({ data }) => digest(data))
    for (const track of [1, 2]) expect(byTrack(found, track)).toEqual(byTrack(packets, track))
  })

  test.skipIf(!hasBoto3())('comes out the same by boto3', async () => {
    const { port } = await runGetMedia({ idleMs: 300 })
    const producer = await Producer.open(port)
    producer.end(readFileSync(clip!))
    await producer.closed

    const python = spawn(
      'python3',
      ['-c', BOTO3, `http://127.0.0.1:${port}`, ACCESS_KEY.accessKeyId, ACCESS_KEY.secretAccessKey],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const parts: Buffer[] = []
    python.stdout.on('data', (part: Buffer) => parts.push(part))
    const [code] = (await once(python, 'close')) as [number]

    expect(code).toBe(0)
    const reading = await startReading(mediaClient(port), { StartSelectorType: 'EARLIEST' })
    const ours = await reading.over()
    const theirs = toDocuments(Buffer.concat(parts))
    const media = (document: Buffer) => digest(inParts(document).media)
    expect(theirs.length).toBeGreaterThan(2)
    expect(theirs.map(media)).toEqual(ours.map(media))
    expect(theirs.every(isWhole)).toBe(true)
  })
})

/** Bytes of this many compare far faster than by value. */
function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hasBoto3(): boolean {
  const { status } = spawnSync('python3', ['-c', 'import boto3'], { stdio: 'ignore' })
  if (status !== 0) console.warn('skipped: boto3 is not installed')
  return status === 0
}

/** Reads to the end, as documented for the SDK for Python. */
const BOTO3 = `
import boto3, sys
url, key, secret = sys.argv[1:]
client = boto3.client('kinesis-video-media', endpoint_url=url, region_name='us-west-2',
                      aws_access_key_id=key, aws_secret_access_key=secret)
answer = client.get_media(StreamName='x', StartSelector={'StartSelectorType': 'EARLIEST'})
for chunk in answer['Payload'].iter_chunks(65536):
    sys.stdout.buffer.write(chunk)
`
