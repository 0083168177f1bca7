import type { Socket } from 'node:net'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import { createDeferred, type Deferred } from '../../platform/deferred.ts'
import { PeerSocket, SlowReaderError } from '../peer-socket.ts'
import { PullError } from '../pull/pull.ts'
import { ReadPacer } from '../read-pacer.ts'
import { ClientAuthentication, type Credentials } from './client-authentication.ts'
import {
  encodeFrame,
  encodeRequest,
  encodeResponse,
  headerOf,
  type OutgoingHeaders,
  type RtspRequest,
  type RtspResponse,
} from './message.ts'
import { RtspReader, type RtspItem, type RtspLimits } from './message-reader.ts'

/**
 * One connection to a camera: requests with their answers, authentication, and the frames between
 * them. All failures are PullErrors, told once by {@link RtspClient.lost} and by every request.
 */
export class RtspClient {
  readonly #options: RtspClientOptions
  readonly #tcp: Socket
  readonly #socket: PeerSocket<RtspItem>
  readonly #authentication: ClientAuthentication | null
  readonly #waiting = new Map<number, Deferred<RtspResponse>>()
  readonly #lost = new AbortController()
  #sequence = 0

  constructor(tcp: Socket, options: RtspClientOptions) {
    this.#options = options
    this.#tcp = tcp
    const { credentials, clock } = options
    this.#authentication = credentials === null ? null : new ClientAuthentication(credentials)
    this.#socket = new PeerSocket(
      tcp,
      { clock, pacer: new ReadPacer() },
      new RtspReader(CAMERA_LIMITS),
      {
        take: (item, arrivedAt) => this.#take(item, arrivedAt),
        throttle: () => options.throttle(),
        leave: (error) => this.#lose(new PullError('peer-closed', 'The camera closed.', error)),
        fail: (error) => this.#lose(toPullError(error)),
      },
    )
  }

  /** Aborts when the connection is of no use any more; its reason is a PullError. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** While nothing is read, silence says nothing about the camera. */
  get isSuspended(): boolean {
    return this.#socket.isSuspended
  }

  get remoteAddress(): string {
    return this.#tcp.remoteAddress ?? ''
  }

  get remotePort(): number {
    return this.#tcp.remotePort ?? 0
  }

  get localAddress(): string {
    return this.#tcp.localAddress ?? ''
  }

  /** Reads are paced from here on. */
  expectMedia(): void {
    this.#socket.expectMedia()
  }

  /**
   * Asks and waits, and asks once more when the camera wants credentials or has a new nonce.
   *
   * @throws PullError `no-answer` after `timeoutMs`, `unauthorised`; the reason of `lost`
   */
  async request(request: ClientRequest, timeoutMs: number): Promise<RtspResponse> {
    for (let tries = 0; ; tries++) {
      const response = await this.#exchange(request, timeoutMs)
      if (response.status !== 401) {
        // Some give a new nonce in any answer.
        const news = response.headers.get('www-authenticate')
        if (news !== undefined) this.#authentication?.learn(news)
        return response
      }
      const challenges = response.headers.get('www-authenticate') ?? []
      const mayAskAgain = this.#authentication?.learn(challenges) ?? false
      if (!mayAskAgain || tries === MAX_LOGINS) throw toUnauthorised(this.#options.credentials)
    }
  }

  /** Asks and does not wait; whatever comes back is fine. */
  tell(request: ClientRequest): void {
    this.#exchange(request, ANSWER_FORGOTTEN_MS).then(
      (response) => {
        const news = response.headers.get('www-authenticate')
        if (news !== undefined) this.#authentication?.learn(news)
        request.onAnswer?.(response)
      },
      () => undefined, // a camera that does not answer is no worse for it
    )
  }

  sendFrame(channel: number, payload: Uint8Array): void {
    this.#socket.write(encodeFrame(channel, payload))
  }

  close(): void {
    this.#lose(new PullError('peer-closed', 'Closed.'))
    this.#socket.close()
  }

  async #exchange(request: ClientRequest, timeoutMs: number): Promise<RtspResponse> {
    this.#lost.signal.throwIfAborted()
    const { method, uri, headers = [] } = request
    const sequence = ++this.#sequence
    const answer = createDeferred<RtspResponse>()
    const answered = new AbortController()
    this.#waiting.set(sequence, answer)
    const authorisation = this.#authentication?.answer(method, uri) ?? null
    this.#socket.write(
      encodeRequest({
        method,
        uri,
        headers: [
          ['CSeq', String(sequence)],
          ...(authorisation === null ? [] : ([['Authorization', authorisation]] as const)),
          ['User-Agent', 'Kinora'],
          ...headers,
        ],
      }),
    )
    this.#options.clock.sleep(timeoutMs, answered.signal).then(
      () => answer.reject(new PullError('no-answer', `The camera does not answer ${method}.`)),
      () => undefined, // answered, or lost
    )
    try {
      return await answer.promise
    } finally {
      this.#waiting.delete(sequence)
      answered.abort()
    }
  }

  #take(item: RtspItem, arrivedAt: EpochMs): Promise<void> | null {
    if (item.kind === 'frame') return this.#options.onFrame(item.channel, item.payload, arrivedAt)
    if (item.kind === 'response') this.#resolve(item)
    else this.#answerCamera(item)
    return null
  }

  /** Some leave CSeq out; then it is the answer to the oldest question. */
  #resolve(response: RtspResponse): void {
    const sequence = Number(headerOf(response.headers, 'cseq') ?? Number.NaN)
    const oldest = this.#waiting.keys().next().value
    const asked = Number.isNaN(sequence) ? oldest : sequence
    if (asked !== undefined) this.#waiting.get(asked)?.resolve(response)
  }

  /** Cameras ask whether we are there (RFC 2326 §10.1, §10.8). */
  #answerCamera(request: RtspRequest): void {
    const cseq = headerOf(request.headers, 'cseq')
    const headers = cseq === null ? [] : ([['CSeq', cseq]] as const)
    const status = HARMLESS.has(request.method) ? 200 : 501
    this.#socket.write(encodeResponse({ status, headers }))
    if (request.method === 'TEARDOWN') {
      this.#lose(new PullError('peer-closed', 'The camera ended the session.'))
    }
  }

  #lose(error: PullError): void {
    if (this.#lost.signal.aborted) return
    this.#lost.abort(error)
    this.#socket.close()
    for (const answer of this.#waiting.values()) answer.reject(error)
  }
}

export type ClientRequest = {
  readonly method: string
  readonly uri: string
  readonly headers?: OutgoingHeaders
  /** For requests that nobody waits for. */
  readonly onAnswer?: (response: RtspResponse) => void
}

export type RtspClientOptions = {
  readonly credentials: Credentials | null
  readonly clock: Clock
  /** A promise when nothing is to be read until it resolves. */
  readonly onFrame: (
    channel: number,
    payload: Uint8Array,
    arrivedAt: EpochMs,
  ) => Promise<void> | null
  readonly throttle: () => Promise<void> | null
}

const CAMERA_LIMITS: RtspLimits = {
  maxHeaderBytes: 64 * 1024,
  maxBodyBytes: 256 * 1024,
  maxGarbageBytes: 1024 * 1024,
}

/** One challenge, and one nonce that was stale by then. */
const MAX_LOGINS = 2
/** After so long an answer means nothing. */
const ANSWER_FORGOTTEN_MS = 60_000
const HARMLESS = new Set(['OPTIONS', 'GET_PARAMETER', 'SET_PARAMETER', 'TEARDOWN'])

function toUnauthorised(credentials: Credentials | null): PullError {
  return credentials === null
    ? new PullError('unauthorised', 'The camera wants a user name and a password.')
    : new PullError(
        'unauthorised',
        'The camera does not accept the user name and password, or an authentication that we know ' +
          '(digest with MD5 or SHA-256, basic).',
      )
}

function toPullError(error: unknown): PullError {
  if (error instanceof PullError) return error
  if (error instanceof SlowReaderError) {
    return new PullError('no-answer', 'The camera reads nothing of what it is told.')
  }
  return new PullError('protocol-error', 'The camera sends no RTSP.', error)
}
