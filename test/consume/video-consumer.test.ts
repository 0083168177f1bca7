import { expect, test } from 'vitest'
import type { Archive } from '../../src/archive/index.ts'
import {
  openMetaLeases,
  startVideoConsumer,
  type VideoCheckpoint,
  type VideoConsumerOptions,
} from '../../src/consume/index.ts'
import { MalformedMediaError } from '../../src/domain/errors.ts'
import type { Fragment } from '../../src/domain/fragment.ts'
import type { StreamId } from '../../src/domain/stream.ts'
import type { MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryArchive } from '../support/memory-archive.ts'
import { createObserved } from '../support/observed.ts'
import { Recorder } from '../support/recorder.ts'
import { scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

const CAM = { streamId: 'cam~1' as StreamId, name: 'cam' }
const T0 = 1_700_000_000_000

async function fixture(meta?: MetaStore, archive = new MemoryArchive()) {
  const store = meta ?? (await scratchMetaStore())
  const clock = new ManualClock(T0)
  const observed = createObserved()
  const leases = untilTestEnds(
    await openMetaLeases({ meta: store, clock, log: observed.log, node: 'local' }),
  )
  const handled = new Recorder<number>()
  const start = (options: Partial<VideoConsumerOptions> = {}) =>
    untilTestEnds(
      startVideoConsumer({
        application: 'detect',
        archive: archive as unknown as Archive,
        leases,
        streams: () => [CAM],
        start: 'oldest',
        handle: async (fragment) => handled.push(fragment.sequence),
        clock,
        ...observed,
        ...options,
      }),
    )
  const skipped = () =>
    observed.recorder.items
      .filter(({ name }) => name === 'consumerSkipped')
      .map(({ fields }) => [fields.reason, fields.count])
  const checkpoint = () => leases.readCheckpoint<VideoCheckpoint>('detect', CAM.streamId)
  return { store, clock, archive, leases, handled, start, skipped, checkpoint, ...observed }
}

test('handles what is there and what comes, in order, and checkpoints each', async () => {
  const { archive, handled, start, checkpoint } = await fixture()
  archive.add(CAM.streamId, T0 - 2_000)
  archive.add(CAM.streamId, T0 - 1_000)
  const consumer = start()
  await handled.reaching(2)

  const last = archive.add(CAM.streamId, T0)
  await handled.reaching(3)
  await consumer[Symbol.asyncDispose]()

  expect(handled.items).toEqual([0, 1, 2])
  expect(checkpoint()).toEqual({
    fragmentNumber: last.fragmentNumber,
    producerTimestamp: last.producerTimestamp,
    serverTimestamp: last.serverTimestamp,
    sequence: 2,
  })
})

test('starts with the newest fragment when told to, and there only without a checkpoint', async () => {
  const { archive, handled, start, skipped } = await fixture()
  for (let i = 0; i < 3; i++) archive.add(CAM.streamId, T0 - 9_000 + i * 1_000)
  const first = start({ start: 'newest' })
  await handled.reaching(1)
  await first[Symbol.asyncDispose]()
  for (let i = 0; i < 3; i++) archive.add(CAM.streamId, T0 - 3_000 + i * 1_000)

  start({ start: 'newest' })
  await handled.reaching(4)

  expect(handled.items).toEqual([2, 3, 4, 5])
  expect(skipped()).toEqual([])
})

test('a crash between handling and checkpoint brings the fragment again', async () => {
  const { store, archive, handled, start, clock } = await fixture()
  archive.add(CAM.streamId, T0)
  const reached = new Recorder<number>()
  start({
    handle: async (fragment, signal) => {
      reached.push(fragment.sequence)
      // Its work is done, but the process never gets to the checkpoint.
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error())))
    },
    drainMs: 0,
  })
  await reached.reaching(1)

  const restarted = await fixture(store, archive)
  restarted.start()
  await restarted.handled.reaching(1)

  expect(restarted.handled.items).toEqual([0])
  expect(handled.items).toEqual([])
  void clock.sleeping(0).then(() => clock.advance(0)) // lets the abandoned consumer's drain end
})

test('too far behind, it goes on with the newest fragment and says what it left out', async () => {
  const { archive, handled, start, skipped } = await fixture()
  for (let i = 0; i < 20; i++) archive.add(CAM.streamId, T0 - 21_000 + i * 1_000)

  start({ policy: { maxLagMs: 10_000 } })
  await handled.reaching(1)
  archive.add(CAM.streamId, T0 - 1_000)
  await handled.reaching(2)

  expect(handled.items).toEqual([19, 20])
  expect(skipped()).toEqual([['lag', 19]])
})

test('without a limit it handles everything, however late', async () => {
  const { archive, handled, start, skipped } = await fixture()
  for (let i = 0; i < 20; i++) archive.add(CAM.streamId, T0 - 3_600_000 + i * 1_000)

  start({ policy: { maxLagMs: null } })
  await handled.reaching(20)

  expect(handled.items).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(skipped()).toEqual([])
})

test('the newest fragment is handled however old it is', async () => {
  const { archive, handled, start, skipped } = await fixture()
  archive.add(CAM.streamId, T0 - 3_600_000)

  start({ policy: { maxLagMs: 1_000 } })
  await handled.reaching(1)

  expect(skipped()).toEqual([])
})

test('counts what expired while it was away', async () => {
  const { archive, handled, start, skipped } = await fixture()
  archive.add(CAM.streamId, T0 - 9_000)
  const consumer = start()
  await handled.reaching(1)
  await consumer[Symbol.asyncDispose]()
  for (let i = 0; i < 3; i++) archive.expire(archive.add(CAM.streamId, T0 - 8_000))
  archive.add(CAM.streamId, T0 - 2_000)

  start()
  await handled.reaching(2)

  expect(handled.items).toEqual([0, 4])
  expect(skipped()).toEqual([['expired', 3]])
})

test('malformed media is passed over at once, with an event', async () => {
  const { archive, handled, start, skipped, recorder } = await fixture()
  archive.add(CAM.streamId, T0)
  archive.add(CAM.streamId, T0 + 1)

  start({
    handle: async ({ sequence }) => {
      if (sequence === 0) throw new MalformedMediaError('no', { offset: 0, path: 'Cluster' })
      handled.push(sequence)
    },
  })
  await handled.reaching(1)

  expect(handled.items).toEqual([1])
  expect(skipped()).toEqual([['malformed-media', 1]])
  expect(recorder.items.filter(({ name }) => name === 'consumerFailed')).toEqual([])
})

test('a failing handler is tried again, then the fragment is passed over', async () => {
  const { archive, handled, start, skipped, clock, recorder } = await fixture()
  archive.add(CAM.streamId, T0)
  archive.add(CAM.streamId, T0 + 1)
  const retry = { retries: 2, firstDelayMs: 50, maxDelayMs: 1_000 }
  let calls = 0

  start({
    policy: { retry },
    handle: async ({ sequence }) => {
      if (sequence === 0) {
        calls += 1
        throw new Error('model crashed')
      }
      handled.push(sequence)
    },
  })
  for (const delayMs of [50, 100]) {
    await clock.sleeping(delayMs)
    clock.advance(delayMs)
  }
  await handled.reaching(1)

  expect(calls).toBe(3)
  expect(skipped()).toEqual([['failed', 1]])
  expect(recorder.items.filter(({ name }) => name === 'consumerFailed')).toHaveLength(2)
})

test('a graceful stop finishes the fragment in hand and begins no other', async () => {
  const { archive, start, checkpoint, leases } = await fixture()
  const first = archive.add(CAM.streamId, T0)
  archive.add(CAM.streamId, T0 + 1)
  const begun = new Recorder<Fragment>()
  let finish!: () => void
  const finishing = new Promise<void>((resolve) => (finish = resolve))
  const consumer = start({
    handle: async (fragment) => {
      begun.push(fragment)
      await finishing
    },
  })
  await begun.reaching(1)

  const stopped = consumer[Symbol.asyncDispose]()
  finish()
  await stopped

  expect(begun.items).toHaveLength(1)
  expect(checkpoint()?.fragmentNumber).toBe(first.fragmentNumber)
  expect(await leases.list('detect')).toMatchObject([{ owner: null }])
})

test('a handler that does not finish is cut off after the drain', async () => {
  const { archive, start, clock, checkpoint } = await fixture()
  archive.add(CAM.streamId, T0)
  const begun = new Recorder<number>()
  const consumer = start({
    drainMs: 7_000,
    handle: (_, signal) =>
      new Promise((_resolve, reject) => {
        begun.push(1)
        signal.addEventListener('abort', () => reject(signal.reason))
      }),
  })
  await begun.reaching(1)

  const stopped = consumer[Symbol.asyncDispose]()
  await clock.sleeping(7_000)
  clock.advance(7_000)
  await stopped

  expect(checkpoint()).toBeNull()
})

test('a lost lease ends the handler; its result is not checkpointed', async () => {
  const { archive, start, store, clock, checkpoint } = await fixture()
  archive.add(CAM.streamId, T0)
  const begun = new Recorder<AbortSignal>()
  start({
    handle: (_, signal) =>
      new Promise((_resolve, reject) => {
        begun.push(signal)
        signal.addEventListener('abort', () => reject(signal.reason))
      }),
  })
  const [signal] = await begun.reaching(1)
  const thief = untilTestEnds(
    await openMetaLeases({
      meta: store,
      clock: new ManualClock(T0 + 10_000),
      log: createObserved().log,
      node: 'other',
    }),
  )
  expect(await thief.take('detect', CAM.streamId)).not.toBeNull()

  const ended = new Promise((resolve) => signal!.addEventListener('abort', resolve))
  await clock.sleeping(3_333)
  clock.advance(3_333)
  await ended

  expect(checkpoint()).toBeNull()
})

test('follows the set of streams and forgets the one that is gone', async () => {
  const { archive, start, leases, handled } = await fixture()
  const other = { streamId: 'other~1' as StreamId, name: 'other' }
  const streams = [CAM]
  const consumer = start({ streams: () => streams })
  archive.add(CAM.streamId, T0)
  await handled.reaching(1)

  streams.splice(0, 1, other)
  consumer.sync()
  archive.add(other.streamId, T0)
  await handled.reaching(2)

  expect((await leases.list('detect')).map(({ key }) => key)).toEqual([other.streamId])
})

test('a loop that fails is started again; the others go on', async () => {
  const { archive, start, handled, clock } = await fixture()
  const broken = { streamId: 'broken~1' as StreamId, name: 'broken' }
  let failures = 0
  const flaky = Object.assign(Object.create(archive) as MemoryArchive, {
    after: async (streamId: StreamId, ...rest: [string | null, number]) => {
      if (streamId === broken.streamId && failures++ === 0) throw new Error('disk error')
      return archive.after(streamId, ...rest)
    },
    newest: archive.newest.bind(archive),
    waitAfter: archive.waitAfter.bind(archive),
  })
  archive.add(broken.streamId, T0)
  archive.add(CAM.streamId, T0)
  const consumer = start({
    archive: flaky as unknown as Archive,
    streams: () => [broken, CAM],
  })
  await handled.reaching(1)

  clock.advance(250)
  consumer.sync()
  await handled.reaching(2)

  expect(failures).toBeGreaterThan(1)
})
