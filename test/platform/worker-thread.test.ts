import { afterEach, describe, expect, test } from 'vitest'
import { WorkerThread } from '../../src/platform/worker-thread.ts'

// The entry under test is compiled JavaScript, as in production.
const REQUESTS = new URL('../../dist/platform/worker-requests.js', import.meta.url)
const ERRORS = new URL('../../dist/domain/errors.js', import.meta.url)
const ENTRY = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { serveRequests } from '${REQUESTS.href}'
    import { ServiceError } from '${ERRORS.href}'
    let calls = 0
    serveRequests(async (request) => {
      calls++
      if (request === 'crash') process.exit(3)
      if (request === 'throw') setImmediate(() => { throw new Error('outside of a call') })
      if (request === 'throw') return new Promise(() => undefined)
      if (request === 'fail') throw new ServiceError('malformed-media', 'Bad', 'bad', { context: { at: 7 } })
      if (request === 'bug') null.property
      if (request.gate !== undefined) Atomics.wait(request.gate, 0, 0)
      return { request, calls }
    }, async () => undefined)
  `)}`,
)

type Answer = { readonly request: unknown; readonly calls: number }
const never = new AbortController().signal
const crashes: unknown[] = []
const opened: WorkerThread<unknown, Answer>[] = []

function open(maxQueued = 4): WorkerThread<unknown, Answer> {
  const thread = new WorkerThread<unknown, Answer>({
    url: ENTRY,
    workerData: null,
    maxQueued,
    onCrash: (error) => crashes.push(error),
  })
  opened.push(thread)
  return thread
}

afterEach(async () => {
  for (const thread of opened.splice(0)) await thread[Symbol.asyncDispose]()
  crashes.length = 0
})

/** Holds the thread inside a call until it is opened. */
function createGate() {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  return {
    gate,
    open: () => {
      Atomics.store(gate, 0, 1)
      Atomics.notify(gate, 0)
    },
  }
}

test('answers calls in order, in one thread', async () => {
  const thread = open()

  const answers = await Promise.all(['a', 'b', 'c'].map((request) => thread.call(request, never)))

  expect(answers).toEqual([
    { request: 'a', calls: 1 },
    { request: 'b', calls: 2 },
    { request: 'c', calls: 3 },
  ])
})

test('a failure of the handler arrives whole and the thread goes on', async () => {
  const thread = open()

  await expect(thread.call('fail', never)).rejects.toMatchObject({
    name: 'ServiceError',
    kind: 'malformed-media',
    code: 'Bad',
    message: 'bad',
    context: { at: 7 },
  })
  await expect(thread.call('bug', never)).rejects.toMatchObject({ kind: 'internal' })
  expect(await thread.call('x', never)).toEqual({ request: 'x', calls: 3 })
})

describe.each(['crash', 'throw'])('when a call makes the thread %s', (how) => {
  test('what it owed is rejected and the next call has a fresh thread', async () => {
    const thread = open()
    await thread.call('warm', never)

    const owed = await Promise.allSettled([thread.call(how, never), thread.call('next', never)])

    for (const result of owed) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { kind: 'unavailable', code: 'WorkerCrashed' },
      })
    }
    expect(crashes).toHaveLength(1)
    expect(await thread.call('again', never)).toEqual({ request: 'again', calls: 1 })
  })
})

test('one call more than the queue holds is refused, the others are answered', async () => {
  const thread = open(2)
  const gate = createGate()
  const running = thread.call({ gate: gate.gate }, never)
  const waiting = [thread.call('a', never), thread.call('b', never)]

  await expect(thread.call('c', never)).rejects.toMatchObject({ code: 'WorkerBusy' })

  gate.open()
  await running
  expect((await Promise.all(waiting)).map(({ request }) => request)).toEqual(['a', 'b'])
})

test('an aborted call rejects with the reason, whether it waits or runs', async () => {
  const thread = open()
  const gate = createGate()
  const aborting = new AbortController()
  const running = thread.call({ gate: gate.gate }, aborting.signal)
  const waiting = thread.call('waits', aborting.signal)
  const other = thread.call('other', never)

  aborting.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  await expect(waiting).rejects.toThrow('enough')
  await expect(thread.call('late', aborting.signal)).rejects.toThrow('enough')

  gate.open()
  expect(await other).toEqual({ request: 'other', calls: 2 }) // the waiting one never ran
})

test('a closed thread answers nobody', async () => {
  const thread = open()
  const gate = createGate()
  const running = thread.call({ gate: gate.gate }, never)
  const rejected = expect(running).rejects.toMatchObject({ code: 'WorkerClosed' })

  const closed = thread[Symbol.asyncDispose]()
  gate.open()
  await closed

  await rejected
  await expect(thread.call('x', never)).rejects.toMatchObject({ code: 'WorkerClosed' })
  expect(crashes).toEqual([])
})
