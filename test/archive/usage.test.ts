import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { writeFragment } from '../support/archive-media.ts'
import { archiveWorkplace, MINUTE_MS, T, YARD } from '../support/archive-workplace.ts'

/** Fragments of a second, a minute apart, two to a chunk. */
async function fortyMinutes() {
  const place = await archiveWorkplace()
  place.retention.ms = 24 * MINUTE_MS * 60
  {
    await using archive = await place.open()
    for (let i = 0; i < 40; i += 2) {
      await using writer = await archive.openWriter(YARD)
      await writeFragment(writer, { at: T + i * MINUTE_MS })
      await writeFragment(writer, { at: T + (i + 1) * MINUTE_MS })
    }
  }
  place.clock.advance(40 * MINUTE_MS)
  return place
}

const TERMS = { name: 'case 12', reason: 'asked for' }

test('the oldest is the first that is seen, whatever changes what is seen', async () => {
  const place = await fortyMinutes()
  const archive = await place.open()
  const expectOldest = async (minute: number | null) => {
    for (let i = 0; i < 2; i++) {
      const [first] = await archive.after(YARD, null, 1)
      const { oldest } = await archive.usage(YARD)
      expect(oldest).toBe(minute === null ? null : T + minute * MINUTE_MS)
      expect(first?.serverTimestamp ?? null).toBe(oldest)
    }
  }

  await expectOldest(0)
  place.retention.ms = 40 * MINUTE_MS
  await expectOldest(1)
  place.clock.advance(2 * MINUTE_MS)
  await expectOldest(3)
  place.retention.ms = 50 * MINUTE_MS // longer again, and nothing was unlinked yet
  await expectOldest(0)
  place.retention.ms = 20 * MINUTE_MS
  await expectOldest(23)
  const { id } = await archive.hold(
    YARD,
    { by: 'server', from: T + 5 * MINUTE_MS, to: T + 6 * MINUTE_MS },
    TERMS,
  )
  await expectOldest(5)
  await archive.expire()
  await expectOldest(5)
  await archive.releaseHold(id)
  await expectOldest(23)
  await archive.deleteRange(YARD, { by: 'server', from: T, to: T + 26 * MINUTE_MS })
  await expectOldest(26)
  await archive.expire()
  for (const minute of [27, 28, 29, 38, 39]) {
    place.clock.advance(T + (minute + 20) * MINUTE_MS - 1 - place.clock.now())
    await expectOldest(minute)
    await archive.expire()
    await expectOldest(minute)
  }
  place.clock.advance(MINUTE_MS)
  await expectOldest(null)
  await archive.expire()
  await expectOldest(null)
  expect(await archive.usage(YARD)).toEqual({ chunks: 0, bytes: 0, oldest: null, newest: null })
})

test('asking again reads no file', async () => {
  const place = await fortyMinutes()
  const archive = await place.open()
  const before = await archive.usage(YARD)
  await rm(place.media, { recursive: true })

  expect(await archive.usage(YARD)).toEqual(before)
})
