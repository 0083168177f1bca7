import { readFileSync } from 'node:fs'
import type { StartSelector } from '@aws-sdk/client-kinesis-video-media'
import { describe, expect, test } from 'vitest'
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
import { sharedMedia } from '../../../support/shared-media.ts'
import { Producer, runKinesisVideoApi } from '../running-video-api.ts'
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
