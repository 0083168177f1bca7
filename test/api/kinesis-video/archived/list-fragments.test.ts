import {
  ListFragmentsCommand,
  paginateListFragments,
  type Fragment as ListedFragment,
} from '@aws-sdk/client-kinesis-video-archived-media'
import { describe, expect, test } from 'vitest'
import type { Fragment } from '../../../../src/domain/fragment.ts'
import { writeFragment } from '../../../support/archive-media.ts'
import { anHourAgo, film, refusal, runArchivedMedia } from './archived-fixture.ts'

const between = (from: number, to: number, by = 'PRODUCER_TIMESTAMP' as const) => ({
  FragmentSelectorType: by,
  TimestampRange: { StartTimestamp: new Date(from), EndTimestamp: new Date(to) },
})
const numbers = (listed: readonly ListedFragment[] | undefined) =>
  listed!.map(({ FragmentNumber }) => FragmentNumber)
const numbersOf = (fragments: readonly Fragment[]) =>
  fragments.map(({ fragmentNumber }) => fragmentNumber)

/** Made fragments, one a second; the producer's clock is 10 s behind the server's. */
async function runWithSeconds(count: number) {
  const running = await runArchivedMedia()
  const start = anHourAgo()
  const writer = await running.archive.openWriter(running.streamId)
  const fragments: Fragment[] = []
  for (let i = 0; i < count; i++) {
    const at = start + i * 1000
    fragments.push(await writeFragment(writer, { at, producerAt: at - 10_000, durationMs: 1000 }))
  }
  await writer[Symbol.asyncDispose]()
  return { ...running, start, fragments }
}

describe('ListFragments', () => {
  test('says of each fragment what was stored of it', async () => {
    const { client, store } = await runArchivedMedia()
    const start = anHourAgo()
    const stored = await store(await film(), start)

    const { Fragments, NextToken } = await client.send(
      new ListFragmentsCommand({
        StreamName: 'x',
        FragmentSelector: between(start - 1000, start + 60_000),
      }),
    )

    expect(NextToken).toBeUndefined()
    expect(Fragments).toEqual(
      stored.map((fragment) => ({
        FragmentNumber: fragment.fragmentNumber,
        FragmentSizeInBytes: fragment.sizeBytes,
        ProducerTimestamp: new Date(fragment.producerTimestamp),
        ServerTimestamp: new Date(fragment.serverTimestamp),
        FragmentLengthInMilliseconds: fragment.durationMs,
      })),
    )
  })

  test.each([
    {
      rule: 'both ends belong to it',
      by: 'PRODUCER_TIMESTAMP',
      from: 0,
      to: 2000,
      found: [0, 1, 2],
    },
    {
      rule: 'what only reaches in does not',
      by: 'PRODUCER_TIMESTAMP',
      from: 1,
      to: 2999,
      found: [1, 2],
    },
    { rule: 'one instant', by: 'PRODUCER_TIMESTAMP', from: 3000, to: 3000, found: [3] },
    { rule: 'the other clock', by: 'SERVER_TIMESTAMP', from: 10_000, to: 11_500, found: [0, 1] },
    { rule: 'nothing', by: 'SERVER_TIMESTAMP', from: 0, to: 9999, found: [] },
  ] as const)('by $by: $rule', async ({ by, from, to, found }) => {
    const { client, start, fragments } = await runWithSeconds(5)
    const zero = start - 10_000

    const { Fragments } = await client.send(
      new ListFragmentsCommand({
        StreamName: 'x',
        FragmentSelector: {
          FragmentSelectorType: by,
          TimestampRange: {
            StartTimestamp: new Date(zero + from),
            EndTimestamp: new Date(zero + to),
          },
        },
      }),
    )

    expect(numbers(Fragments)).toEqual(found.map((i) => fragments[i]!.fragmentNumber))
  })

  test('pages through without holes or duplicates while fragments come and go', async () => {
    const { client, archive, streamId, start, fragments } = await runWithSeconds(30)
    const listed: (string | undefined)[] = []
    let pages = 0

    for await (const page of paginateListFragments(
      { client, pageSize: 7 },
      { StreamName: 'x', FragmentSelector: between(start - 10_000, start + 600_000) },
    )) {
      pages++
      listed.push(...numbers(page.Fragments))
      if (pages === 1) {
        // Behind the page: two go. At the end: one comes.
        const at = start - 10_000 + 10_000
        await archive.deleteRange(streamId, { by: 'producer', from: at, to: at + 2000 })
        const writer = await archive.openWriter(streamId)
        const late = await writeFragment(writer, {
          at: start + 30_000,
          producerAt: start + 20_000,
          durationMs: 1000,
        })
        await writer[Symbol.asyncDispose]()
        fragments.push(late)
      }
    }

    const left = numbersOf(fragments.filter((_, i) => i !== 10 && i !== 11))
    expect(listed).toEqual(left)
    expect(pages).toBe(5)
  })

  test('sixty that arrived in the same millisecond are paged through like others', async () => {
    const { client, archive, streamId } = await runArchivedMedia()
    const at = anHourAgo()
    const writer = await archive.openWriter(streamId)
    const stored = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        writeFragment(writer, { at, producerAt: at + i * 10, durationMs: 10 }),
      ),
    )
    await writer[Symbol.asyncDispose]()
    const listed: (string | undefined)[] = []

    for await (const page of paginateListFragments(
      { client, pageSize: 9 },
      {
        StreamName: 'x',
        FragmentSelector: {
          FragmentSelectorType: 'SERVER_TIMESTAMP',
          TimestampRange: { StartTimestamp: new Date(at), EndTimestamp: new Date(at) },
        },
      },
    )) {
      listed.push(...numbers(page.Fragments))
    }

    expect(listed).toEqual(numbersOf(stored))
  })

  test('asks for a page and no more, however long the range', async () => {
    const { client, archive, start } = await runWithSeconds(30)
    const limits: number[] = []
    const list = archive.list.bind(archive)
    archive.list = (streamId, range) => {
      limits.push(range.limit)
      return list(streamId, range)
    }

    const { Fragments, NextToken } = await client.send(
      new ListFragmentsCommand({
        StreamName: 'x',
        MaxResults: 5,
        FragmentSelector: between(0, start + 3_600_000),
      }),
    )
    await client.send(new ListFragmentsCommand({ StreamName: 'x', MaxResults: 5, NextToken }))

    expect(Fragments).toHaveLength(5)
    expect(limits).toEqual([6, 6, 6]) // the second page begins with what was the last of the first
  })

  test('a stream without an archive has none', async () => {
    const { client, registry } = await runArchivedMedia()
    await registry.update('x', { retentionHours: 0 })

    const { Fragments, NextToken } = await client.send(
      new ListFragmentsCommand({ StreamName: 'x', FragmentSelector: between(0, Date.now()) }),
    )

    expect([Fragments, NextToken]).toEqual([[], undefined])
  })

  test.each([
    {
      rule: 'neither selector nor token',
      input: {},
      name: 'InvalidArgumentException',
      message: /FragmentSelector or the NextToken/,
    },
    {
      rule: 'a range that ends before it begins',
      input: { FragmentSelector: between(2000, 1000) },
      name: 'InvalidArgumentException',
      message: /must not be earlier/,
    },
    {
      rule: 'a token of somebody else',
      input: { NextToken: 'AAAA' },
      name: 'InvalidArgumentException',
      message: /NextToken/,
    },
    {
      rule: 'too many results',
      input: { MaxResults: 1001, FragmentSelector: between(0, 1) },
      name: 'InvalidArgumentException',
      message: /at 'maxResults' failed to satisfy constraint: .* less than or equal to 1000/,
    },
  ])('$rule is refused', async ({ input, name, message }) => {
    const { client } = await runArchivedMedia()

    const refused = await refusal(
      client.send(new ListFragmentsCommand({ StreamName: 'x', ...input })),
    )

    expect(refused).toMatchObject({ name, status: 400 })
    expect(refused.message).toMatch(message)
  })

  test('a token of one stream is none of another', async () => {
    const { client, registry, start } = await runWithSeconds(3)
    await registry.create({ name: 'y', retentionHours: 24 })
    const { NextToken } = await client.send(
      new ListFragmentsCommand({
        StreamName: 'x',
        MaxResults: 1,
        FragmentSelector: between(start - 10_000, start),
      }),
    )

    const refused = await refusal(
      client.send(new ListFragmentsCommand({ StreamName: 'y', NextToken })),
    )

    expect(refused).toMatchObject({ name: 'InvalidArgumentException', status: 400 })
  })

  test('a stream that is not there is not found', async () => {
    const { client } = await runArchivedMedia()

    expect(
      await refusal(
        client.send(new ListFragmentsCommand({ StreamName: 'z', FragmentSelector: between(0, 1) })),
      ),
    ).toMatchObject({ name: 'ResourceNotFoundException', status: 404 })
  })
})
