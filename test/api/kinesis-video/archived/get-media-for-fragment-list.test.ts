import { readFileSync, writeFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { GetMediaForFragmentListCommand } from '@aws-sdk/client-kinesis-video-archived-media'
import { describe, expect, test } from 'vitest'
import { CallLimit } from '../../../../src/api/kinesis-video/index.ts'
import { ElementId } from '../../../../src/media/matroska/element-id.ts'
import { scanElements, toSamples } from '../../../../src/media/matroska/scanner.ts'
import { parseTags } from '../../../../src/media/matroska/tags.ts'
import { anHourAgo, film, refusal, runArchivedMedia } from './archived-fixture.ts'

const NOBODY = '91343852333181432392682062607743920146159169392'

async function runStored(limit?: CallLimit) {
  const running = await runArchivedMedia(limit)
  const stored = await running.store(await film(), anHourAgo())
  const get = async (Fragments: string[]) => {
    const { Payload, ContentType } = await running.client.send(
      new GetMediaForFragmentListCommand({ StreamName: 'x', Fragments }),
    )
    return { contentType: ContentType, bytes: await Payload!.transformToByteArray() }
  }
  return { ...running, stored, get }
}

/** The documents of an answer, each with what its Tags say. */
function documentsIn(bytes: Uint8Array) {
  const documents: { start: number; tags: Record<string, string> }[] = []
  for (const element of scanElements(bytes)) {
    if (element.id === ElementId.Ebml) documents.push({ start: element.offset, tags: {} })
    if (element.id !== ElementId.Tags) continue
    for (const { name, value } of parseTags(bytes, element)) documents.at(-1)!.tags[name] = value
  }
  return documents.map(({ start, tags }, i) => ({
    tags,
    bytes: bytes.subarray(start, documents[i + 1]?.start),
  }))
}

describe('GetMediaForFragmentList', () => {
  test('gives the fragments in the order of the request, each as a document of its own', async () => {
    const { archive, stored, get } = await runStored()
    const wanted = [stored[3]!, stored[0]!, stored[3]!]

    const { contentType, bytes } = await get(wanted.map(({ fragmentNumber }) => fragmentNumber))

    expect(contentType).toBe('video/webm')
    const documents = documentsIn(bytes)
    expect(documents.map(({ tags }) => tags)).toEqual(
      wanted.map((fragment) => ({
        AWS_KINESISVIDEO_FRAGMENT_NUMBER: fragment.fragmentNumber,
        AWS_KINESISVIDEO_SERVER_TIMESTAMP: (fragment.serverTimestamp / 1000).toFixed(3),
        AWS_KINESISVIDEO_PRODUCER_TIMESTAMP: (fragment.producerTimestamp / 1000).toFixed(3),
      })),
    )
    for (const [i, fragment] of wanted.entries()) {
      const { header, bytes: media, tracks } = await archive.read(fragment)
      expect(Buffer.from(documents[i]!.bytes).equals(Buffer.concat([header, media]))).toBe(true)
      expect(toSamples(documents[i]!.bytes.subarray(header.length), tracks)).toHaveLength(
        fragment.sampleCount,
      )
    }
  })

  test('a fragment that is not there, or damaged, is told in its place', async () => {
    const { directory, stored, get, archive } = await runStored()
    const [first, second] = stored
    const chunk = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('.mkv'),
    )!
    const path = join(directory, chunk)
    await archive[Symbol.asyncDispose]() // so that the chunk is finished
    const media = readFileSync(path)
    media.fill(0xff, second!.place.offset, second!.place.offset + 64)
    writeFileSync(path, media)

    const { bytes } = await get([
      NOBODY,
      first!.fragmentNumber,
      second!.fragmentNumber,
      stored[2]!.fragmentNumber,
    ])

    expect(documentsIn(bytes).map(({ tags }) => tags)).toMatchObject([
      {
        AWS_KINESISVIDEO_FRAGMENT_NUMBER: NOBODY,
        AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE: '4000',
        AWS_KINESISVIDEO_EXCEPTION_MESSAGE: 'The fragment is not found.',
      },
      { AWS_KINESISVIDEO_FRAGMENT_NUMBER: first!.fragmentNumber },
      {
        AWS_KINESISVIDEO_FRAGMENT_NUMBER: second!.fragmentNumber,
        AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE: '5000',
      },
      { AWS_KINESISVIDEO_FRAGMENT_NUMBER: stored[2]!.fragmentNumber },
    ])
  })

  test('a thousand fragments are sent at the pace of the client', async () => {
    const { client, archive, stored } = await runStored()
    const { Payload } = await client.send(
      new GetMediaForFragmentListCommand({
        StreamName: 'x',
        Fragments: new Array<string>(1000).fill(stored[0]!.fragmentNumber),
      }),
    )
    let received = 0
    for await (const part of Payload as unknown as AsyncIterable<Uint8Array>) {
      received += part.length
    }

    const { header, bytes } = await archive.read(stored[0]!)
    expect(received).toBe(1000 * (header.length + bytes.length))
  })

  test('one call more than are answered at a time is refused, until one is over', async () => {
    const { client, stored } = await runStored(new CallLimit(1))
    const get = () =>
      client.send(
        new GetMediaForFragmentListCommand({
          StreamName: 'x',
          Fragments: new Array<string>(1000).fill(stored[0]!.fragmentNumber),
        }),
      )
    const { Payload } = await get() // and 36 MB of it wait

    const refused = await refusal(get())
    await Payload!.transformToByteArray()
    const again = await get()
    await again.Payload!.transformToByteArray()

    expect(refused).toMatchObject({ name: 'ClientLimitExceededException', status: 400 })
  })

  test('an answer during which the service stops is broken off, and never looks whole', async () => {
    const { api, client, stored } = await runStored()
    const { Payload } = await client.send(
      new GetMediaForFragmentListCommand({
        StreamName: 'x',
        Fragments: new Array<string>(1000).fill(stored[0]!.fragmentNumber),
      }),
    )

    await api.close()

    await expect(Payload!.transformToByteArray()).rejects.toThrow(/aborted/)
  })

  test.each([
    { rule: 'no numbers', Fragments: [], message: /at 'fragments'.*greater than or equal to 1/ },
    {
      rule: 'too many numbers',
      Fragments: new Array<string>(1001).fill('1'),
      message: /at 'fragments'.*less than or equal to 1000/,
    },
    { rule: 'what is no number', Fragments: ['x'], message: /\[0-9\]\+/ },
  ])('$rule is refused', async ({ Fragments, message }) => {
    const { client } = await runArchivedMedia()

    const refused = await refusal(
      client.send(new GetMediaForFragmentListCommand({ StreamName: 'x', Fragments })),
    )

    expect(refused).toMatchObject({ name: 'InvalidArgumentException', status: 400 })
    expect(refused.message).toMatch(message)
  })
})
