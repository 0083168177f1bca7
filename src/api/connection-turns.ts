import type { HttpRequest, HttpResponse } from './http-server.ts'

/**
 * Makes the requests of one HTTP/1.1 connection take turns. Its answers go out in order anyway, and
 * Node hands over pipelined requests all at once: without turns a viewer that sends a hundred and
 * reads nothing would hold a hundred segments.
 */
export class ConnectionTurns {
  readonly #last = new WeakMap<object, Promise<void>>()

  /** Resolves when the answer before this one is out, or never when the connection is gone. */
  async take(request: HttpRequest, response: HttpResponse): Promise<void> {
    if (request.httpVersionMajor !== 1) return // HTTP/2 has flow control for each request
    const { socket } = request
    const previous = this.#last.get(socket)
    this.#last.set(socket, new Promise((resolve) => void response.once('close', () => resolve())))
    await previous
  }
}
