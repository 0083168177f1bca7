import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { getClip, getMedia, putMedia, type PutMediaOptions } from '../../src/client/index.ts'
import { remuxToMatroska } from '../../src/platform/av.ts'
import { parseHeader } from '../../src/media/matroska/header.ts'
import { ACCESS_KEY, runKinesisVideoApi } from '../api/kinesis-video/running-video-api.ts'
import { ROOT } from '../support/service.ts'
import { sharedMedia } from '../support/shared-media.ts'

const FILE = join(ROOT, 'fixtures/moving-shapes.mp4')
const START = new Date(Date.now() - 60_000)

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

async function start() {
  const api = await runKinesisVideoApi()
  const access = {
    ...{ endpoint: `http://127.0.0.1:${api.port}`, credentials: ACCESS_KEY, streamName: 'x' },
  }
  /** Every acknowledgement of an upload. */
  const put = async (options: Partial<PutMediaOptions> = {}) => {
    const media = remuxToMatroska({ path: FILE })
    const call = { ...access, media, timecodes: { from: START }, ...options } as PutMediaOptions
    return collect(putMedia(call))
  }
  return { api, access, put }
}

describe('putMedia', () => {
  test('sends media of any source, and yields what is said of each fragment', async () => {
    const { put, api } = await start()
    const acks = await put()

    const stored = await api.stored()
    expect(stored.length).toBeGreaterThan(1)
    for (const type of ['BUFFERING', 'RECEIVED', 'PERSISTED'] as const) {
      const numbers = acks.filter((ack) => ack.type === type).map((ack) => ack.fragmentNumber)
      expect(numbers).toEqual(stored.map(({ fragment }) => fragment.fragmentNumber))
    }
    expect(acks.map(({ error }) => error)).toEqual(acks.map(() => null))
    expect(acks[0]!.timecode).toBeGreaterThanOrEqual(0)
    expect(stored[0]!.fragment.producerTimestamp - START.getTime()).toBe(acks[0]!.timecode)
  })

  test('an ERROR is an acknowledgement, behind which the service ends the call', async () => {
    const { put } = await start()
    const acks = await put({ media: [Buffer.from('this is no Matroska at all')] })

    expect(acks).toEqual([
      expect.objectContaining({ type: 'ERROR', error: { id: 4006, code: 'INVALID_MKV_DATA' } }),
    ])
  })

  test('a refusal has the name of the exception', async () => {
    const { put } = await start()
    await expect(put({ streamName: 'none' })).rejects.toMatchObject({
      kind: 'not-found',
      code: 'ResourceNotFoundException',
    })
    const credentials = { ...ACCESS_KEY, secretAccessKey: 'wrong wrong wrong' }
    await expect(put({ credentials })).rejects.toMatchObject({
      kind: 'unauthenticated',
      code: 'InvalidSignatureException',
    })
  })

  test('what the source throws ends the call', async () => {
    const { put } = await start()
    async function* media() {
      yield Buffer.from('1a45dfa3', 'hex')
      await Promise.resolve()
      throw new Error('camera unplugged')
    }

    await expect(put({ media: media() })).rejects.toThrow('camera unplugged')
  })

  test('an abort ends it with its reason', async () => {
    const { put } = await start()
    const stopping = new AbortController()
    async function* media() {
      yield Buffer.from('1a45dfa3', 'hex')
      stopping.abort(new Error('enough'))
      yield Buffer.alloc(1)
    }

    await expect(put({ media: media(), signal: stopping.signal })).rejects.toThrow('enough')
  })

  test('a source that is faster than the service waits', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1') // reads no body
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const stopping = new AbortController()
    let given = 0
    async function* media() {
      for (;;) {
        given += 1
        yield Buffer.alloc(1024 * 1024)
      }
    }
    const { port } = server.address() as AddressInfo
    const call = putMedia({
      ...{ endpoint: `http://127.0.0.1:${port}`, credentials: ACCESS_KEY, streamName: 'x' },
      ...{ media: media(), signal: stopping.signal },
    }).next()
    call.catch(() => undefined)
    await expect.poll(() => given, { timeout: 30_000 }).toBeGreaterThan(0)
    let before = -1
    await expect
      .poll(
        () => {
          const stands = before === given
          before = given
          return stands
        },
        { timeout: 30_000, interval: 300 },
      )
      .toBe(true)

    expect(given).toBeLessThan(100)
    stopping.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
  })

  test('nobody there is told as such', async () => {
    const call = putMedia({
      ...{ endpoint: 'http://127.0.0.1:9', credentials: ACCESS_KEY, streamName: 'x', media: [] },
    })

    await expect(call.next()).rejects.toMatchObject({ code: 'ServiceUnreachable' })
  })
})

describe('getMedia', () => {
  test('yields each fragment with its tags, as a document that stands alone', async () => {
    const { put, access, api } = await start()
    await put()
    const stored = await api.stored()
    const fragments = []
    for await (const fragment of getMedia({ ...access, start: 'earliest' })) {
      fragments.push(fragment)
      if (fragments.length === stored.length) break
    }

    expect(fragments.map(({ fragmentNumber }) => fragmentNumber)).toEqual(
      stored.map(({ fragment }) => fragment.fragmentNumber),
    )
    for (const [i, fragment] of fragments.entries()) {
      const { producerTimestamp, serverTimestamp } = stored[i]!.fragment
      expect(fragment.producerTimestamp.getTime()).toBe(producerTimestamp)
      expect(fragment.serverTimestamp.getTime()).toBe(serverTimestamp)
      expect(fragment.continuationToken).toBe(fragment.fragmentNumber)
      expect(fragment.millisBehindNow).toBeGreaterThanOrEqual(0)
      expect(fragment.tracks.map(({ kind }) => kind)).toContain('video')
      expect(parseHeader(fragment.bytes)!.tracks).toHaveLength(fragment.tracks.length)
    }
  })

  test('goes on behind a continuation token, and by time', async () => {
    const { put, access, api } = await start()
    await put()
    const [first, second] = (await api.stored()).map(({ fragment }) => fragment)
    const firstFrom = async (begin: Parameters<typeof getMedia>[0]['start'] & object) => {
      for await (const { fragmentNumber } of getMedia({ ...access, start: begin })) {
        return fragmentNumber
      }
      return null
    }

    expect(await firstFrom({ continuationToken: first!.fragmentNumber })).toBe(
      second!.fragmentNumber,
    )
    expect(await firstFrom({ afterFragmentNumber: first!.fragmentNumber })).toBe(
      second!.fragmentNumber,
    )
    expect(await firstFrom({ producerTimestamp: new Date(first!.producerTimestamp) })).toBe(
      first!.fragmentNumber,
    )
    expect(await firstFrom({ serverTimestamp: new Date(first!.serverTimestamp) })).toBe(
      first!.fragmentNumber,
    )
  })

  test('a refusal has the name of the exception', async () => {
    const { access } = await start()
    const call = getMedia({ ...access, streamName: 'none' })

    await expect(call.next()).rejects.toMatchObject({ code: 'ResourceNotFoundException' })
  })

  test('an abort ends the wait for what comes', async () => {
    const { put, access } = await start()
    await put()
    const stopping = new AbortController()
    const call = getMedia({ ...access, start: 'now', signal: stopping.signal })
    const waiting = call.next()
    stopping.abort(new Error('enough'))

    await expect(waiting).rejects.toThrow('enough')
  })
})

test('getClip yields an MP4 file', async () => {
  const { put, access } = await start()
  await put()
  const parts = await collect(
    getClip({ ...access, from: START, to: new Date(START.getTime() + 60_000) }),
  )

  expect(Buffer.concat(parts).subarray(4, 8).toString()).toBe('ftyp')
})

test('what the service itself delivered can be put again', async (context) => {
  const capture = sharedMedia('kvs_output_get_media.mkv')
  if (capture === null) return context.skip('the captured media is not here')
  const { put, api } = await start()
  const acks = await put({ media: remuxToMatroska({ path: capture }) })

  expect(acks.filter(({ type }) => type === 'PERSISTED')).toHaveLength((await api.stored()).length)
})
