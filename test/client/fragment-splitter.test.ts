import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { FragmentSplitter } from '../../src/client/fragment-splitter.ts'
import { concat, tagsElement } from '../../src/media/matroska/writer.ts'
import { HEADER } from '../support/archive-media.ts'
import { sharedMedia } from '../support/shared-media.ts'

test('what the service delivered comes apart the same, however it is cut', async (context) => {
  const capture = sharedMedia('kvs_output_get_media.mkv')
  if (capture === null) return context.skip('the captured media is not here')
  const bytes = await readFile(capture)
  const split = (size: number) => {
    const splitter = new FragmentSplitter(64 * 1024 * 1024)
    const fragments = []
    for (let at = 0; at < bytes.length; at += size) {
      fragments.push(...splitter.push(bytes.subarray(at, at + size)))
    }
    return fragments
  }
  const whole = split(bytes.length)

  expect(whole.length).toBeGreaterThan(1)
  expect(concat(whole.map((fragment) => fragment.bytes)).length).toBe(bytes.length)
  for (const fragment of whole) {
    expect(fragment.fragmentNumber).toMatch(/^\d{47}$/)
    expect(fragment.producerTimestamp.getTime()).toBeGreaterThan(1.4e12)
    expect(fragment.tracks.length).toBeGreaterThan(0)
  }
  const digests = (fragments: typeof whole) =>
    fragments.map(({ bytes, ...rest }) => ({
      ...rest,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    }))
  for (const size of [10_007, 65_536]) expect(digests(split(size))).toEqual(digests(whole))
})

test('a fragment that broke off is left out', () => {
  const splitter = new FragmentSplitter(1_000_000)
  const tags = (number: string) =>
    tagsElement([
      ['AWS_KINESISVIDEO_FRAGMENT_NUMBER', number],
      ['AWS_KINESISVIDEO_SERVER_TIMESTAMP', '1.5'],
      ['AWS_KINESISVIDEO_PRODUCER_TIMESTAMP', '1.25'],
    ])
  const end = tagsElement([['AWS_KINESISVIDEO_CONTINUATION_TOKEN', 't']])
  const found = splitter.push(
    concat([HEADER, tags('1'), HEADER, tags('2'), tagsElement([['door', 'open']]), end]),
  )

  expect(found).toMatchObject([{ fragmentNumber: '2', continuationToken: 't' }])
  expect(found[0]!.producerTimestamp.getTime()).toBe(1250)
  expect([...found[0]!.tags]).toEqual([['door', 'open']])
})

test('what the service cannot go on with is an error', () => {
  const end = tagsElement([
    ['AWS_KINESISVIDEO_ERROR_ID', '4000'],
    ['AWS_KINESISVIDEO_ERROR_CODE', 'FRAGMENT_NOT_FOUND'],
  ])

  expect(() => new FragmentSplitter(1_000_000).push(concat([HEADER, end]))).toThrow(
    'The service gave up: 4000 FRAGMENT_NOT_FOUND',
  )
})

test('a fragment without end is given up', () => {
  const splitter = new FragmentSplitter(10_000)
  splitter.push(HEADER)

  // A Tags element that announces a megabyte.
  expect(() =>
    splitter.push(Buffer.concat([Buffer.from('1254c36710100000', 'hex'), Buffer.alloc(20_000)])),
  ).toThrow(expect.objectContaining({ code: 'FragmentTooLarge' }))
})
