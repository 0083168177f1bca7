import { Worker } from 'node:worker_threads'
import { ServiceError } from '../domain/errors.ts'
import { createDeferred, type Deferred } from './deferred.ts'
import type { WorkerAnswer, WorkerRequest } from './worker-requests.ts'

export type WorkerThreadOptions = {
  readonly url: URL
  /** Given to every thread that is started. */
  readonly workerData: unknown
  /** Calls that may wait behind the running one; one more is refused. */
  readonly maxQueued: number
  /** A thread ended by itself. The next call starts another. */
  readonly onCrash: (error: unknown) => void
}

type Call<Request> = {
  readonly request: Request
  readonly transfer: readonly ArrayBuffer[]
  readonly answer: Deferred<unknown>
}

/** How long a closing thread may take to finish its last call before it is terminated. */
const CLOSE_MS = 5_000

/**
 * A worker thread that answers calls one after the other; its entry calls `serveRequests`. The
 * thread is started by the first call. When it crashes, the calls it owed are rejected and the next
 * one starts a fresh thread: what crashed it is not tried again.
 */
export class WorkerThread<Request, Answer> implements AsyncDisposable {
  readonly #options: WorkerThreadOptions
  readonly #queue: Call<Request>[] = []
  #worker: Worker | null = null
  #running: Call<Request> | null = null
  #closed = false

  constructor(options: WorkerThreadOptions) {
    this.#options = options
  }

  /**
   * @param transfer buffers of the request that the caller gives away
   * @throws ServiceError what the thread's handler threw; `unavailable`/`WorkerBusy` when the queue
   *   is full, `unavailable`/`WorkerCrashed` when the thread ended, `unavailable`/`WorkerClosed`
   *   after disposal. The signal's reason when aborted; a call that runs goes on to its end unseen.
   */
  async call(
    request: Request,
    signal: AbortSignal,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Answer> {
    signal.throwIfAborted()
    if (this.#closed) throw closedError()
    if (this.#queue.length >= this.#options.maxQueued) {
      throw new ServiceError(
        'unavailable',
        'WorkerBusy',
        `${this.#queue.length} calls wait for the worker thread.`,
      )
    }
    const call: Call<Request> = { request, transfer, answer: createDeferred<unknown>() }
    const onAbort = () => {
      const waiting = this.#queue.indexOf(call)
      if (waiting >= 0) this.#queue.splice(waiting, 1)
      call.answer.reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#queue.push(call)
    this.#next()
    try {
      return (await call.answer.promise) as Answer
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const worker = this.#worker
    this.#rejectAll(closedError())
    if (worker === null) return
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const timer = setTimeout(() => void worker.terminate(), CLOSE_MS)
    worker.postMessage({ close: true } satisfies WorkerRequest)
    await ended
    clearTimeout(timer)
  }

  #next(): void {
    if (this.#running !== null) return
    const call = this.#queue.shift()
    if (call === undefined) return
    this.#running = call
    this.#worker ??= this.#start()
    this.#worker.postMessage({ request: call.request } satisfies WorkerRequest, [...call.transfer])
  }

  #start(): Worker {
    const worker = new Worker(this.#options.url, { workerData: this.#options.workerData })
    let failure: unknown = null
    worker.on('message', (message: WorkerAnswer) => {
      const call = this.#running
      if (worker !== this.#worker || call === null) return
      this.#running = null
      if ('failure' in message) {
        const { kind, code, text, context } = message.failure
        call.answer.reject(new ServiceError(kind, code, text, { context }))
      } else call.answer.resolve(message.answer)
      this.#next()
    })
    worker.on('error', (error) => (failure = error))
    worker.on('exit', (exitCode) => {
      if (worker !== this.#worker) return
      this.#worker = null
      if (this.#closed) return
      this.#options.onCrash(failure ?? new Error(`the worker thread exited with code ${exitCode}`))
      this.#rejectAll(
        new ServiceError('unavailable', 'WorkerCrashed', 'The worker thread crashed.', {
          cause: failure,
        }),
      )
    })
    return worker
  }

  #rejectAll(reason: ServiceError): void {
    const calls = [...(this.#running === null ? [] : [this.#running]), ...this.#queue.splice(0)]
    this.#running = null
    for (const call of calls) call.answer.reject(reason)
  }
}

function closedError(): ServiceError {
  return new ServiceError('unavailable', 'WorkerClosed', 'The worker thread is closed.')
}
