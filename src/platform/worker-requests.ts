import { parentPort } from 'node:worker_threads'
import { ServiceError, type ErrorKind } from '../domain/errors.ts'

/** From the owner to its thread. */
export type WorkerRequest = { readonly request: unknown } | { readonly close: true }

/** From the thread to its owner; one per request, in order. */
export type WorkerAnswer =
  | { readonly answer: unknown }
  | {
      readonly failure: {
        readonly kind: ErrorKind
        readonly code: string
        readonly text: string
        readonly context: Record<string, unknown>
      }
    }

/**
 * Answers the owner's calls one after the other: the thread's side of `WorkerThread`. A failure
 * that is no ServiceError is our bug and reaches the owner as `internal`.
 *
 * @param close frees what the thread holds; then the thread ends by itself
 */
export function serveRequests<Request, Answer>(
  handle: (request: Request) => Promise<Answer>,
  close: () => Promise<void>,
): void {
  const port = parentPort
  if (port === null) throw new Error('serveRequests runs in a worker thread only')
  let tail: Promise<void> = Promise.resolve()
  const serve = async (message: WorkerRequest): Promise<void> => {
    if ('close' in message) {
      await close()
      port.close()
      return
    }
    let reply: WorkerAnswer
    try {
      reply = { answer: await handle(message.request as Request) }
    } catch (error) {
      reply = { failure: toFailure(error) }
    }
    port.postMessage(reply)
  }
  port.on('message', (message: WorkerRequest) => {
    tail = tail.then(() => serve(message))
  })
}

function toFailure(error: unknown): Extract<WorkerAnswer, { failure: unknown }>['failure'] {
  if (error instanceof ServiceError) {
    const { kind, code, message: text, context } = error
    return { kind, code, text, context: { ...context } }
  }
  return { kind: 'internal', code: 'InternalFailure', text: String(error), context: {} }
}
