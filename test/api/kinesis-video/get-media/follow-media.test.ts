import { describe, expect, test } from 'vitest'
import {
  MediaFollower,
  type MediaToFollow,
} from '../../../../src/api/kinesis-video/get-media/follow-media.ts'
import { counterOf, type Fragment } from '../../../../src/domain/fragment.ts'
import { epochMs } from '../../../../src/domain/time.ts'
import { BytePool } from '../../../../src/platform/byte-pool.ts'
import {
  appendFragment,
  clusterParts,
  fragmentStart,
  HEADER,
  randomNumbers,
  VIDEO_TRACK,
  writeFragment,
} from '../../../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../../../support/archive-workplace.ts'
import { toMatroskaHeader } from '../../../../src/media/matroska/writer.ts'
import { isWhole, numberOf, tagsOf, toDocuments } from './media-reading.ts'

async function workplace() {
  const place = await archiveWorkplace()
  const archive = await place.open({}, { maxQueuedBytes: 64 << 20 })
  const stop = new AbortController()
  const failures: unknown[] = []
  const follow = (change: Partial<MediaToFollow> = {}) =>
    new MediaFollower({
      ...{ archive, streamId: YARD, after: null, signal: stop.signal, idleMs: 10_000 },
      ...{ clock: place.clock, memory: new BytePool(1 << 20) },
      onFragment: () => undefined,
      onFailure: (error) => failures.push(error),
      ...change,
    })
  return { ...place, archive, stop, follow, failures }
}

/** Takes what comes until it ends, and how it did. */
async function takeAll(
  follower: MediaFollower,
  pause: () => Promise<void> = async () => undefined,
) {
  const parts: Buffer[] = []
  const media = follower.follow()
  for (;;) {
    const next = await media.next()
    if (next.done === true) return { documents: toDocuments(Buffer.concat(parts)), end: next.value }
    parts.push(Buffer.from(next.value)) // a copy: what was read is given back by its taker
    await pause()
  }
}

const numbersOf = (fragments: readonly Fragment[]) =>
  fragments.map(({ fragmentNumber }) => fragmentNumber)

describe('from the archive into the live tail', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'every fragment once, in order, byte for byte, whatever happens (seed %d)',
    async (seed) => {
      const { archive, clock, follow, stop, retention } = await workplace()
      retention.ms = 60 * MINUTE_MS
      const random = randomNumbers(seed * 7919)
      const written: Fragment[] = []
      const endings: Promise<void>[] = []
      const turns = async (count: number) => {
        for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
      }
      const readers = [
        takeAll(follow()),
        takeAll(follow(), () => turns(random(4))),
        takeAll(follow(), () => turns(random(2) * 20)),
      ]

      let headers = 0
      for (let session = 0; session < 5; session++) {
        const writer = await archive.openWriter(YARD)
        const late: ReturnType<typeof takeAll>[] = []
        for (let i = 0; i < 12; i++) {
          clock.advance(500)
          const header =
            random(6) === 0 ? toMatroskaHeader([VIDEO_TRACK], { title: `${headers++}` }) : HEADER
          const made = { at: clock.now(), header, frames: 4, frameBytes: 1 + random(9000) }
          writer.begin(fragmentStart(made))
          const parts = clusterParts(made)
          for (let at = 0; at < parts.length; at += 3) {
            const arrivedAt = clock.now()
            const producerEnd = epochMs(made.at + 2000)
            writer.append(parts.slice(at, at + 3), { samples: 1, producerEnd, arrivedAt })
            await turns(random(3))
            if (random(40) === 0) late.push(takeAll(follow()))
          }
          if (random(5) === 0) {
            writer.abandon('given up')
          } else {
            const ending = writer.end(null).then((fragment) => void written.push(fragment))
            endings.push(ending)
            if (random(3) === 0) await ending
          }
        }
        await writer[Symbol.asyncDispose]()
        readers.push(...late)
      }
      await Promise.all(endings)
      const results = await idle(clock, Promise.all(readers))

      for (const { documents, end } of results) {
        expect(end).toBe('idle')
        const whole = documents.filter(isWhole)
        expect(whole.map(numberOf)).toEqual(numbersOf(written))
        for (const [i, fragment] of written.entries()) {
          const { bytes } = await archive.read(fragment)
          expect(whole[i]!.includes(Buffer.from(bytes))).toBe(true)
        }
      }
      stop.abort(new Error('the test is over'))
    },
  )

  test('what the retention took before it was read is left out, and nothing else', async () => {
    const { archive, clock, follow, stop, retention } = await workplace()
    retention.ms = 2 * MINUTE_MS
    await using writer = await archive.openWriter(YARD)
    const written: Fragment[] = []
    for (let i = 0; i < 10; i++) {
      written.push(await writeFragment(writer, { at: clock.now() }))
      clock.advance(20_000)
    }
    const media = follow().follow()
    const parts: Buffer[] = []
    const take = async () => parts.push(Buffer.from((await media.next()).value as Uint8Array))
    await take()
    clock.advance(60_000)
    for (let i = 0; i < 2; i++) await take()
    const kept = (await archive.after(YARD, null, 99)).slice()
    for (let i = 0; i < 3 * kept.length; i++) await take()

    const numbers = toDocuments(Buffer.concat(parts)).map(numberOf)

    const first = numbers[0]!
    expect(numbers.slice(1)).toEqual(numbersOf(kept))
    expect(numbersOf(written)).toContain(first)
    expect(first < numbers[1]!).toBe(true)
    stop.abort(new Error('the test is over'))
  })

  test('a taker that is too slow for the feed goes on in the archive', async () => {
    const { archive, clock, follow, stop } = await workplace()
    await using writer = await archive.openWriter(YARD)
    const media = follow().follow()
    const first = media.next()
    await untilFollowed(archive, clock)
    const number = appendFragment(writer, { at: T })
    const head = await first
    await writer.end(null)
    for (let i = 1; i < 8; i++) {
      await writeFragment(writer, { at: T + i * 2000, frameBytes: 1 << 20 }) // 5 MiB each
    }

    const parts = [Buffer.from(head.value as Uint8Array)]
    while (toDocuments(Buffer.concat(parts)).filter(isWhole).length < 8) {
      parts.push(Buffer.from((await media.next()).value as Uint8Array))
    }

    const documents = toDocuments(Buffer.concat(parts))
    const all = await archive.after(YARD, null, 99)
    expect(all[0]!.fragmentNumber).toBe(number)
    expect(documents.map(numberOf)).toEqual(numbersOf(all))
    for (const [i, fragment] of all.entries()) {
      const { bytes } = await archive.read(fragment)
      expect(documents[i]!.includes(Buffer.from(bytes))).toBe(true)
    }
    stop.abort(new Error('the test is over'))
  })

  test('a fragment that is given up breaks off; the next is a document of its own', async () => {
    const { archive, clock, follow } = await workplace()
    const reading = takeAll(follow())
    await clock.sleeping(2_500)
    await using writer = await archive.openWriter(YARD)
    await untilFollowed(archive, clock)
    const lost = appendFragment(writer, { at: T })
    writer.abandon('stalled')
    const { fragmentNumber } = await writeFragment(writer, { at: T + 2000 })
    const { documents } = await idle(clock, reading)

    expect(documents.map(numberOf)).toEqual([lost, fragmentNumber])
    expect(documents.map(isWhole)).toEqual([false, true])
  })

  test('a stream that keeps nothing is delivered from its live buffer', async () => {
    const { archive, clock, follow, retention } = await workplace()
    retention.ms = 0
    await using writer = await archive.openWriter(YARD)
    const before = await writeFragment(writer, { at: T })
    const reading = takeAll(follow())
    await clock.sleeping(2_500)
    const after = await writeFragment(writer, { at: T + 2000 })
    const { documents } = await idle(clock, reading)

    expect(documents.map(numberOf)).toEqual(numbersOf([before, after]))
  })

  test('ends when its stream is removed', async () => {
    const { archive, clock, follow, failures } = await workplace()
    const reading = takeAll(follow())
    await clock.sleeping(2_500)
    await untilFollowed(archive, clock)
    await archive.remove(YARD)

    expect((await reading).end).toBe('removed')
    expect(failures).toEqual([])
  })
})

describe('a fragment that cannot be read', () => {
  test('ends the answer with an error that names it', async () => {
    const { archive, follow, failures } = await workplace()
    const written = await fill(archive, 3)
    const { documents, end } = await takeAll(follow(brokenAt(archive, written[1]!)))

    expect(end).toBe('failed')
    expect(documents.map(isWhole)).toEqual([true, false])
    expect(tagsOf(documents[1]!)).toEqual({
      AWS_KINESISVIDEO_FRAGMENT_NUMBER: written[1]!.fragmentNumber,
      AWS_KINESISVIDEO_ERROR_ID: '5000',
      AWS_KINESISVIDEO_ERROR_CODE: 'INTERNAL_ERROR',
    })
    expect(failures).toHaveLength(1)
  })

  test('is passed over by who begins with it', async () => {
    const { archive, clock, follow, failures } = await workplace()
    const written = await fill(archive, 3)
    const reading = takeAll(
      follow({ ...brokenAt(archive, written[1]!), after: written[0]!.fragmentNumber }),
    )
    const { documents } = await idle(clock, reading)

    expect(documents.map(numberOf)).toEqual([written[2]!.fragmentNumber])
    expect(failures).toHaveLength(1)
  })

  type RealArchive = Awaited<ReturnType<typeof workplace>>['archive']

  async function fill(archive: RealArchive, count: number) {
    await using writer = await archive.openWriter(YARD)
    const written: Fragment[] = []
    for (let i = 0; i < count; i++) written.push(await writeFragment(writer, { at: T + i * 2000 }))
    return written
  }

  function brokenAt(archive: RealArchive, broken: Fragment): Partial<MediaToFollow> {
    return {
      archive: {
        after: archive.after.bind(archive),
        follow: archive.follow.bind(archive),
        waitAfter: archive.waitAfter.bind(archive),
        read: (fragment, memory) =>
          counterOf(fragment) === counterOf(broken)
            ? Promise.reject(new Error('EIO'))
            : archive.read(fragment, memory),
      },
    }
  }
})

type Clock = Awaited<ReturnType<typeof workplace>>['clock']

/** Lets time pass in which nothing comes, until the reading ends. */
async function idle<T>(clock: Clock, reading: Promise<T>): Promise<T> {
  let isOver = false
  const over = reading.finally(() => (isOver = true))
  for (;;) {
    await Promise.race([clock.sleeping(2_500), over])
    if (isOver) return over
    for (let turn = 0; turn < 50; turn++) await new Promise<void>((done) => setImmediate(done))
    clock.advance(2_500)
  }
}

/** The reader has asked for all that is there. */
async function untilFollowed(archive: { usage(id: typeof YARD): Promise<unknown> }, clock: Clock) {
  await clock.sleeping(2_500)
  for (let turn = 0; turn < 50; turn++) await archive.usage(YARD)
}
