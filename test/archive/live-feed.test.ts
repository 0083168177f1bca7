import { describe, expect, test } from 'vitest'
import type { LiveEvent } from '../../src/archive/index.ts'
import type { FragmentNumber } from '../../src/domain/fragment.ts'
import { tagsElement } from '../../src/media/matroska/writer.ts'
import { appendFragment, clusterParts, HEADER, writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'

describe('who follows a stream', () => {
  test('is told of a fragment while it grows, byte for byte as the archive keeps it', async () => {
    const { archive, follow } = await followed()
    const events = await follow()
    await using writer = await archive.openWriter(YARD)
    const made = { at: T, frames: 3 }

    const number = appendFragment(writer, made)
    const begin = await nextOf(events, 'begin')
    const media = await nextOf(events, 'media')
    const tags = tagsElement([['gate', 'open']])
    const persisted = await writer.end(tags)

    expect(begin).toMatchObject({ fragmentNumber: number, previous: null })
    expect(begin.start.header).toBe(HEADER)
    expect(Buffer.from(media.bytes)).toEqual(Buffer.concat(clusterParts(made)))
    expect(await nextOf(events, 'end')).toMatchObject({
      fragmentNumber: number,
      producerTags: tags,
    })
    expect(await nextOf(events, 'persisted')).toEqual({ type: 'persisted', fragment: persisted })
    const stored = await archive.read(persisted)
    expect(Buffer.concat([begin.tags, media.bytes, tags])).toEqual(Buffer.from(stored.bytes))
  })

  test('keeps what it was told when the writer uses its memory again', async () => {
    const { archive, follow } = await followed()
    const events = await follow()
    await using writer = await archive.openWriter(YARD)
    appendFragment(writer, { at: T })
    await nextOf(events, 'begin')
    const { bytes } = await nextOf(events, 'media')
    const before = Buffer.from(bytes)

    await writer.end(null)
    for (let i = 1; i < 20; i++) {
      await writeFragment(writer, { at: T + i * 2000, frames: 7, frameBytes: 99 })
    }

    expect(Buffer.from(bytes)).toEqual(before)
  })

  test('who is first and comes in the middle begins with the next fragment', async () => {
    const { archive, follow } = await followed()
    await using writer = await archive.openWriter(YARD)
    const first = appendFragment(writer, { at: T })
    const events = await follow()
    await writer.end(null)
    const second = appendFragment(writer, { at: T + 2000 })

    expect(await nextOf(events, 'persisted')).toMatchObject({ fragment: { fragmentNumber: first } })
    expect(await nextOf(events, 'begin')).toMatchObject({ fragmentNumber: second, previous: first })
  })

  test('who comes in the middle while others follow gets the open fragment whole', async () => {
    const { archive, follow } = await followed()
    const early = await follow()
    await using writer = await archive.openWriter(YARD)
    await writeFragment(writer, { at: T })
    const number = appendFragment(writer, { at: T + 2000 })
    const late = await follow()
    await writer.end(null)

    const told: string[] = []
    for (let i = 0; i < 3; i++) told.push(nameOf(await nextEvent(late)))
    expect(told).toEqual([`begin ${number}`, `media ${number}`, `end ${number}`])
    await early.return!()
  })

  test('nothing of a fragment is kept once nobody follows', async () => {
    const { archive, follow } = await followed()
    const early = await follow()
    await using writer = await archive.openWriter(YARD)
    appendFragment(writer, { at: T })
    await early.return!()
    const late = await follow()
    const first = (await writer.end(null)).fragmentNumber

    expect(nameOf(await nextEvent(late))).toBe(`persisted ${first}`)
  })

  test('is told of a fragment that was given up, and what came before the next', async () => {
    const { archive, follow } = await followed()
    const events = await follow()
    await using writer = await archive.openWriter(YARD)
    const kept = await writeFragment(writer, { at: T })
    const lost = appendFragment(writer, { at: T + 2000 })
    writer.abandon('stalled')
    appendFragment(writer, { at: T + 4000 })

    expect(await nextOf(events, 'abandoned')).toEqual({
      type: 'abandoned',
      fragmentNumber: lost,
      reason: 'stalled',
    })
    expect(await nextOf(events, 'begin')).toMatchObject({ previous: kept.fragmentNumber })
  })

  test('a slow follower is told that it missed something, and holds no memory', async () => {
    const { archive, follow } = await followed({ maxQueuedBytes: 64 << 20 })
    const [slow, prompt] = [await follow(), await follow()]
    await using writer = await archive.openWriter(YARD)
    for (let i = 0; i < 5; i++) {
      await writeFragment(writer, { at: T + i * 2000, frameBytes: 1 << 20 })
      for (let told = 0; told < 4; told++) await nextEvent(prompt)
    }

    expect(await slow.next()).toEqual({ value: { type: 'overrun' }, done: false })
    expect(await slow.next()).toEqual({ value: undefined, done: true })
    appendFragment(writer, { at: T + 20_000 })
    expect((await nextEvent(prompt)).type).toBe('begin')
  })

  test('the iteration ends with the signal’s reason', async () => {
    const { archive, follow, stop } = await followed()
    const events = await follow()
    const waiting = events.next()
    const reason = new Error('reader left')
    stop.abort(reason)

    await expect(waiting).rejects.toBe(reason)
    await expect(archive.follow(YARD, stop.signal)).rejects.toBe(reason)
  })

  test.each([
    { rule: 'removed', code: 'StreamRemoved' },
    { rule: 'no longer served', code: 'ArchiveClosed' },
  ])('the iteration ends when the stream is $rule', async ({ code }) => {
    const { archive, follow } = await followed()
    const events = await follow()
    const ended = expect(events.next()).rejects.toMatchObject({ code })

    if (code === 'StreamRemoved') await archive.remove(YARD)
    else await archive[Symbol.asyncDispose]()

    await ended
  })

  test('a stream that keeps nothing is followed alike', async () => {
    const { archive, follow, retention } = await followed()
    retention.ms = 0
    const events = await follow()
    await using writer = await archive.openWriter(YARD)
    const number = appendFragment(writer, { at: T })

    expect(nameOf(await nextEvent(events))).toBe(`begin ${number}`)
  })

  test('a fragment that the archive cannot take is told as given up', async () => {
    const { archive, follow } = await followed({ maxQueuedBytes: 1000 })
    const events = await follow()
    await using writer = await archive.openWriter(YARD)
    const number = appendFragment(writer, { at: T })

    expect(() => writer.append([new Uint8Array(2000)], INFO)).toThrow()

    expect(await nextOf(events, 'abandoned')).toMatchObject({
      fragmentNumber: number,
      reason: 'queue-full',
    })
  })

  const INFO = { samples: 1, producerEnd: T as never, arrivedAt: T as never }

  async function followed(settings = {}) {
    const { open, retention } = await archiveWorkplace()
    retention.ms = 12 * MINUTE_MS
    const archive = await open({}, settings)
    const stop = new AbortController()
    return { archive, retention, stop, follow: () => archive.follow(YARD, stop.signal) }
  }
})

async function nextEvent(events: AsyncIterator<LiveEvent>): Promise<LiveEvent> {
  const { value } = (await events.next()) as IteratorYieldResult<LiveEvent>
  return value
}

async function nextOf<T extends LiveEvent['type']>(
  events: AsyncIterator<LiveEvent>,
  type: T,
): Promise<LiveEvent & { type: T }> {
  for (;;) {
    const event = await nextEvent(events)
    if (event.type === type) return event as LiveEvent & { type: T }
  }
}

function nameOf(event: LiveEvent): string {
  const number: FragmentNumber | string =
    event.type === 'persisted'
      ? event.fragment.fragmentNumber
      : 'fragmentNumber' in event
        ? event.fragmentNumber
        : ''
  return `${event.type} ${number}`
}
