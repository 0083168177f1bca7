import { expect, test } from 'vitest'
import { openMetaLeases } from '../../src/consume/index.ts'
import { openDataStreams, type DataStreams } from '../../src/datastream/index.ts'
import { startNotifier, type NotifierOptions } from '../../src/notify/index.ts'
import { systemClock, type Clock } from '../../src/platform/clock.ts'
import { openLevelMetaStore, type MetaStore } from '../../src/platform/meta-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, untilTestEnds } from '../support/scratch.ts'
import {
  answer,
  detectionRecord,
  hookConfig,
  putRecords,
  startReceiver,
  T0,
  type Answer,
} from './support.ts'

const RESULTS = 'results'

type Service = Awaited<ReturnType<typeof startService>>

/** What the application would start: stores, leases, notifier. Disposal is a graceful stop. */
async function startService(
  directory: string,
  options: Partial<NotifierOptions> & { clock?: Clock; wrap?: (meta: MetaStore) => MetaStore } = {},
) {
  const observed = createObserved()
  const clock = options.clock ?? systemClock
  const real = await openLevelMetaStore(`${directory}/meta`)
  const meta = options.wrap?.(real) ?? real
  const parts = {
    directory: `${directory}/datastream`,
    meta: real,
    clock: systemClock,
    ...observed,
  }
  const dataStreams = await openDataStreams(parts, {})
  if (!dataStreams.list().includes(RESULTS)) {
    await dataStreams.create({ name: RESULTS, shardCount: 1 })
  }
  const leases = await openMetaLeases({ meta, clock, log: observed.log, node: 'local' })
  const notifier = await startNotifier({
    dataStreams,
    resultsStream: RESULTS,
    leases,
    meta,
    hooks: [],
    publicUrl: () => 'https://kinora.example',
    clock,
    retryDelaysMs: [10, 10, 10, 10, 10, 10],
    random: () => 0,
    ...observed,
    ...options,
  })
  const service = untilTestEnds({
    async [Symbol.asyncDispose]() {
      await notifier[Symbol.asyncDispose]()
      await leases[Symbol.asyncDispose]()
      await dataStreams[Symbol.asyncDispose]()
      await real[Symbol.asyncDispose]()
    },
  })
  // The consumer of a new stream begins with what comes after its start: wait until it is there.
  await expect
    .poll(() => meta.get(['consume', 'node', 'local']) !== null && hasStarted(meta, dataStreams), {
      interval: 1,
      timeout: 20_000,
    })
    .toBe(true)
  const put = (...records: unknown[]) => putRecords(dataStreams, RESULTS, records)
  const event = (name: string) => observed.recorder.first((item) => item.name === name)
  const status = () => notifier.status()[0]!
  return { ...service, notifier, meta, put, event, status, recorder: observed.recorder }
}

function hasStarted(meta: MetaStore, dataStreams: DataStreams): boolean {
  const { createdAt } = dataStreams.describe(RESULTS)
  return meta.get(['consume', 'checkpoint', 'notify', `${RESULTS}:${createdAt}`]) !== null
}

const local = { allowPrivateAddresses: true, cooldownMs: 0 }

async function serviceWith(script: Answer[], options: Parameters<typeof startService>[1] = {}) {
  const receiver = await startReceiver(script)
  const directory = await scratchDirectory()
  const hooks = [hookConfig({ url: receiver.url, ...local })]
  const service = await startService(directory, { hooks, ...options })
  return { receiver, directory, hooks, ...service }
}

test('a match is delivered once, signed, with a picture of the moment', async () => {
  const { receiver, put, event, status } = await serviceWith([answer(200)])

  await put(detectionRecord(0), { unrelated: true }, 'text')
  await event('hookDelivered')

  expect(receiver.failures).toEqual([])
  const [received] = receiver.received.items
  expect(received!.headers).toMatchObject({ 'content-type': 'application/json' })
  expect(JSON.parse(received!.body)).toMatchObject({
    type: 'kinora.detection',
    timestamp: new Date(T0).toISOString(),
    data: { imageUrl: `https://kinora.example/streams/cam/image.jpg?at=${T0}` },
  })
  expect(receiver.received.items).toHaveLength(1)
  expect(status()).toEqual({
    name: 'hook',
    waiting: 0,
    delivered: 1,
    failed: 0,
    disabled: false,
    oldestWaiting: null,
  })
})

test('500, then 200: the second attempt has the same id and body', async () => {
  const { receiver, put, event } = await serviceWith([answer(500), answer(200)])

  await put(detectionRecord(0))
  const { fields } = await event('hookDelivered')

  const [first, second] = receiver.received.items
  expect(second!.id).toBe(first!.id)
  expect(second!.body).toBe(first!.body)
  expect(fields).toMatchObject({ attempts: 2, deliveryId: first!.id })
  expect(receiver.failures).toEqual([])
})

test('a receiver that was down gets its deliveries when it comes up, after a restart too', async () => {
  const directory = await scratchDirectory()
  const { port, stop } = await startReceiver()
  await stop[Symbol.asyncDispose]()
  const hooks = [hookConfig({ url: `http://127.0.0.1:${port}/hook`, ...local })]
  const first = await startService(directory, { hooks, retryDelaysMs: [10, 10, 3_600_000] })
  await first.put(detectionRecord(0), detectionRecord(1_000))
  await first.recorder.first(({ fields }) => fields.retryInMs === 3_600_000)
  await first[Symbol.asyncDispose]()
  const second = await startService(directory, { hooks, retryDelaysMs: [10, 10, 3_600_000] })
  expect(second.status()).toMatchObject({ waiting: 2, delivered: 0 })

  const receiver = await startReceiver(undefined, { port })
  await second.notifier.wake('hook')
  await receiver.received.reaching(2)
  await expect
    .poll(() => second.status(), { interval: 1, timeout: 20_000 })
    .toMatchObject({ waiting: 0, delivered: 2, failed: 0 })

  expect(new Set(receiver.ids()).size).toBe(2)
  expect(receiver.failures).toEqual([])
})

test('within the schedule it comes up without being woken', async () => {
  const { port, stop } = await startReceiver()
  await stop[Symbol.asyncDispose]()
  const hooks = [hookConfig({ url: `http://127.0.0.1:${port}/hook`, ...local })]
  const { put, event } = await startService(await scratchDirectory(), {
    hooks,
    retryDelaysMs: Array.from({ length: 1_000 }, () => 5),
  })
  await put(detectionRecord(0))
  await event('hookFailed')

  const receiver = await startReceiver(undefined, { port })
  await event('hookDelivered')

  expect(receiver.received.items).toHaveLength(1)
})

/** A MetaStore that fails from a chosen commit on, as for a process that has ended there. */
function crashingAt(rows: string, isArmed: () => boolean) {
  let crashed = false
  return (meta: MetaStore): MetaStore => ({
    get: (key) => meta.get(key),
    entries: (range) => meta.entries(range),
    commit: async (batch) => {
      const isAt = (batch.puts ?? []).some(({ key }) => key.slice(0, 2).join('/') === rows)
      crashed ||= isArmed() && isAt
      // A lost checkpoint alone lets the senders go on: the worst that can come before a crash.
      if (crashed && (isAt || rows !== 'consume/checkpoint')) throw new Error('it has ended')
      return meta.commit(batch)
    },
    [Symbol.asyncDispose]: () => meta[Symbol.asyncDispose](),
  })
}

test.each([
  { rule: 'after delivering, before the checkpoint', rows: 'consume/checkpoint', sent: 3 },
  { rule: 'before the deliveries are on disk', rows: 'notify/waiting', sent: 3 },
  // What was sent but not noted is sent again under its id: at least once.
  { rule: 'after sending, before noting it', rows: 'notify/hook', sent: 5 },
])('a crash $rule loses nothing and makes no second delivery', async ({ rows, sent }) => {
  const receiver = await startReceiver()
  const directory = await scratchDirectory()
  const hooks = [hookConfig({ url: receiver.url, allowPrivateAddresses: true, cooldownMs: 5_000 })]
  let armed = false
  const wrap = crashingAt(rows, () => armed)
  const first = await startService(directory, { hooks, wrap, drainMs: 0 })
  armed = true
  // One batch: fires at 0 and 6 s; 1, 4 and 9 s are within a cooldown.
  const records = [0, 1_000, 4_000, 6_000, 9_000].map((offset) => detectionRecord(offset))
  await first.put(...records)
  if (rows === 'consume/checkpoint') {
    await expect
      .poll(() => first.status().waiting === 0 && first.status().delivered, {
        interval: 1,
        timeout: 20_000,
      })
      .toBe(2)
  } else if (rows === 'notify/waiting') await first.event('consumerFailed')
  else await receiver.received.reaching(2)
  await abandon(first)

  const second = await startService(directory, { hooks })
  await second.put(detectionRecord(20_000)) // comes after the batch that is handled again
  await receiver.received.first(({ body }) => body.includes(`at=${T0 + 20_000}`))
  await expect.poll(() => second.status().waiting, { interval: 1, timeout: 20_000 }).toBe(0)

  expect(new Set(receiver.ids()).size).toBe(3)
  expect(receiver.ids()).toHaveLength(sent)
})

/** A crash: nothing is released or finished; the files close, as the kernel would close them. */
async function abandon(service: Service): Promise<void> {
  await service[Symbol.asyncDispose]().catch(() => undefined)
}

test('records published twice fire once', async () => {
  const { receiver, put, event, recorder } = await serviceWith([answer(200)])
  await put(detectionRecord(0), detectionRecord(1_000))
  await put(detectionRecord(0), detectionRecord(1_000), detectionRecord(2_000))

  await recorder.first(({ fields }) => fields.deliveryId !== undefined)
  await receiver.received.reaching(3)
  await event('hookDelivered')

  expect(new Set(receiver.ids()).size).toBe(3)
  expect(receiver.ids()).toHaveLength(3)
})

test('many at once: each is sent once, though rows are read while others settle', async () => {
  const { receiver, put, status } = await serviceWith([answer(200)])
  const count = 300

  await put(...Array.from({ length: count }, (_, i) => detectionRecord(i * 100)))
  await receiver.received.reaching(count)
  await expect
    .poll(() => status(), { interval: 1, timeout: 20_000 })
    .toMatchObject({ waiting: 0, delivered: count })

  expect(receiver.ids()).toHaveLength(count)
  expect(new Set(receiver.ids()).size).toBe(count)
})

test('410 disables the hook for good, until it is enabled or another URL is configured', async () => {
  const { receiver, directory, hooks, put, event, ...first } = await serviceWith([answer(410)])
  await put(detectionRecord(0))
  await event('hookDisabled')
  await first[Symbol.asyncDispose]()
  const second = await startService(directory, { hooks })
  expect(second.status()).toMatchObject({ disabled: true, waiting: 1 })

  await second.put(detectionRecord(60_000)) // nothing new comes up for it
  await second[Symbol.asyncDispose]()
  const other = await startReceiver()
  const moved = hooks.map((hook) => ({ ...hook, url: other.url }))
  const third = await startService(directory, { hooks: moved })
  await third.event('hookDelivered')

  expect(receiver.received.items).toHaveLength(1)
  expect(other.ids()).toEqual(receiver.ids())
  expect(third.status()).toMatchObject({ disabled: false })
})

test('an enabled hook goes on with what waited', async () => {
  const { receiver, put, event, notifier, status } = await serviceWith([answer(410), answer(200)])
  await put(detectionRecord(0))
  await event('hookDisabled')

  await notifier.enable('hook')
  await event('hookDelivered')

  expect(receiver.ids()[0]).toBe(receiver.ids()[1])
  expect(status()).toMatchObject({ disabled: false, waiting: 0, delivered: 1 })
})

test('a redirect is a failure and is not followed', async () => {
  const elsewhere = await startReceiver()
  const { put, event, receiver } = await serviceWith([
    answer(302, { location: elsewhere.url }),
    answer(307, { location: elsewhere.url }),
    answer(200),
  ])

  await put(detectionRecord(0))
  await event('hookDelivered')

  expect(receiver.received.items).toHaveLength(3)
  expect(elsewhere.received.items).toEqual([])
})

test('a receiver that does not answer in time has failed', async () => {
  const receiver = await startReceiver([() => undefined, answer(200)])
  const { put, event } = await startService(await scratchDirectory(), {
    hooks: [hookConfig({ url: receiver.url, ...local, timeoutMs: 100 })],
  })

  await put(detectionRecord(0))

  expect((await event('hookFailed')).fields).toMatchObject({ reason: 'timeout' })
  await event('hookDelivered')
})

test('an endless answer is cut off; its status counts', async () => {
  let sent = 0
  const endless: Answer = (response) => {
    response.writeHead(200)
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384))) sent += 16_384
    }
    response.on('drain', more).on('error', () => undefined)
    more()
  }
  const { put, event, receiver } = await serviceWith([endless])

  await put(detectionRecord(0))
  await event('hookDelivered')

  expect(receiver.received.items).toHaveLength(1)
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})

test('429 with Retry-After pauses the whole hook for that long', async () => {
  const clock = new ManualClock(Math.floor(Date.now() / 1_000) * 1_000)
  const { put, event, receiver, recorder } = await serviceWith(
    [answer(429, { 'retry-after': '60' }), answer(200)],
    { clock, concurrency: 1, retryDelaysMs: [1_000] },
  )
  await put(detectionRecord(0), detectionRecord(1_000))
  const { fields } = await event('hookFailed')
  expect(fields).toMatchObject({ reason: 'status-429', retryInMs: 60_000 })

  await clock.sleeping(60_000)
  expect(receiver.received.items).toHaveLength(1)
  clock.advance(60_000)
  await receiver.received.reaching(3)

  await recorder.first(({ name }) => name === 'hookDelivered')
  expect(new Set(receiver.ids()).size).toBe(2)
})

test('after the last attempt a delivery is kept, listed, and can be queued again', async () => {
  const { put, event, notifier, status, receiver, directory, hooks, ...first } = await serviceWith(
    [answer(500), answer(503), answer(500), answer(200)],
    { retryDelaysMs: [1, 1] },
  )
  await put(detectionRecord(0))
  const { fields } = await event('hookDeadLettered')
  expect(fields).toMatchObject({ attempts: 3, reason: 'status-500' })
  expect(status()).toMatchObject({ waiting: 0, delivered: 0, failed: 1 })
  await first[Symbol.asyncDispose]()

  const second = await startService(directory, { hooks })
  const [dead] = await second.notifier.deadLetters('hook', 10)
  expect(dead).toMatchObject({ id: fields.deliveryId, attempts: 3, failure: 'status-500' })
  expect(await second.notifier.requeue('hook', ['msg_unknown'])).toBe(0)
  expect(await second.notifier.requeue('hook', [dead!.id])).toBe(1)
  await second.event('hookDelivered')

  expect(second.status()).toMatchObject({ waiting: 0, delivered: 1, failed: 0 })
  expect(new Set(receiver.ids()).size).toBe(1)
  void notifier
})

test('when too many wait, new ones are dead at once; when too many are dead, the oldest go', async () => {
  const { port, stop } = await startReceiver()
  await stop[Symbol.asyncDispose]()
  const { put, notifier, status } = await startService(await scratchDirectory(), {
    hooks: [hookConfig({ url: `http://127.0.0.1:${port}/hook`, ...local })],
    limits: { maxWaiting: 2, maxDead: 3 },
    retryDelaysMs: [3_600_000],
  })

  await put(...Array.from({ length: 9 }, (_, i) => detectionRecord(i * 1_000)))
  await expect.poll(() => status().failed, { interval: 1, timeout: 20_000 }).toBe(3)

  expect(status()).toMatchObject({ waiting: 2 })
  const dead = await notifier.deadLetters('hook', 10)
  expect(dead.map(({ failure }) => failure)).toEqual(Array(3).fill('queue-full'))
})

test.each([
  { rule: 'an address', host: '127.0.0.1' },
  { rule: 'a name that resolves to one', host: 'localhost' },
])('a private receiver is not called without permission: $rule', async ({ host }) => {
  const receiver = await startReceiver()
  const { put, event } = await startService(await scratchDirectory(), {
    hooks: [hookConfig({ url: `http://${host}:${receiver.port}/`, cooldownMs: 0 })],
  })

  await put(detectionRecord(0))

  expect((await event('hookFailed')).fields).toMatchObject({ reason: 'address-not-allowed' })
  expect(receiver.received.items).toEqual([])
})

test('while a secret changes, receivers with either can verify', async () => {
  const oldSecret = `whsec_${Buffer.alloc(24, 9).toString('base64')}`
  const receiver = await startReceiver(undefined, { secret: oldSecret })
  const { put, event } = await startService(await scratchDirectory(), {
    hooks: [hookConfig({ url: receiver.url, ...local, previousSecret: oldSecret })],
  })

  await put(detectionRecord(0))
  await event('hookDelivered')

  expect(receiver.failures).toEqual([])
})

test('hooks do not wait for each other, and unknown names are refused', async () => {
  const silent = await startReceiver([() => undefined])
  const quick = await startReceiver()
  const { put, recorder, notifier } = await startService(await scratchDirectory(), {
    hooks: [
      hookConfig({ name: 'silent', url: silent.url, ...local }),
      hookConfig({ name: 'quick', url: quick.url, ...local }),
    ],
    drainMs: 0,
  })

  await put(...Array.from({ length: 12 }, (_, i) => detectionRecord(i * 1_000)))
  await quick.received.reaching(12)
  await recorder.first(({ fields }) => fields.hook === 'quick')

  expect(silent.received.items.length).toBeLessThanOrEqual(4) // its concurrency
  await expect(notifier.wake('nobody')).rejects.toMatchObject({ code: 'HookNotFound' })
})
