import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import { createDeferred, type Deferred } from '../../platform/deferred.ts'
import { PullError } from '../pull/pull.ts'
import type { AmfObject, AmfValue } from '../amf/amf-cursor.ts'
import type { Amf0Answer } from '../amf/amf0.ts'
import type { ChunkLimits, RtmpMessage } from './chunk-stream.ts'
import * as commands from './commands.ts'
import { ClientHandshake, HANDSHAKE_BYTES } from './handshake.ts'
import type { PlayAddress } from './play-url.ts'
import { ReadPacer } from '../read-pacer.ts'
import { RtmpSocket } from './rtmp-socket.ts'

/**
 * The client's side of one connection that plays a live stream:
 *
 * ```
 * handshake --> connect --> createStream --> play --> media
 * ```
 * All failures are PullErrors, told once by {@link PlaySession.lost} and by what waits.
 */
export class PlaySession {
  readonly #options: PlaySessionOptions
  readonly #socket: RtmpSocket
  readonly #waiting = new Map<number, Deferred<commands.Command>>()
  readonly #greeted = createDeferred<void>()
  readonly #lost = new AbortController()
  #transactionId = 0
  #messageStreamId: number | null = null

  constructor(tcp: Socket, options: PlaySessionOptions) {
    this.#options = options
    this.#greeted.promise.catch(() => undefined) // told by whoever waits for it
    this.#socket = new RtmpSocket(
      tcp,
      { clock: options.clock, pacer: new ReadPacer() },
      { handshake: new ClientHandshake(randomBytes(2 * HANDSHAKE_BYTES)), limits: LIMITS },
      {
        greeted: () => this.#greeted.resolve(),
        take: (message, arrivedAt) => this.#take(message, arrivedAt),
        throttle: () => null, // take waits
        leave: (error) => this.#lose(new PullError('peer-closed', 'The server closed.', error)),
        fail: (error) => this.#lose(toProtocolError(error)),
      },
    )
  }

  /** Aborts when the connection is of no use any more; its reason is a PullError. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /**
   * @returns `null` when it is connected, or the description of a rejection that asks for a login
   * @throws PullError
   */
  async connect({ app, tcUrl }: PlayAddress): Promise<string | null> {
    await this.#inTime(this.#greeted.promise)
    const answer = await this.#call('connect', {
      app,
      flashVer: 'LNX 9,0,124,2', // what servers made after Flash's know
      tcUrl,
      fpad: false,
      capabilities: 15,
      audioCodecs: 4071,
      videoCodecs: 252,
      videoFunction: 1,
      objectEncoding: 0,
      ...commands.ENHANCED,
    })
    if (answer.name !== '_error') return null
    const { code, description } = readStatus(answer.args)
    if (description.includes('authmod=')) return description
    throw toRejection(code, description)
  }

  /** Media comes from here on. @throws PullError */
  async play({ stream }: PlayAddress): Promise<void> {
    const created = await this.#call('createStream', null)
    const id = created.args[1]
    if (created.name === '_error' || typeof id !== 'number') {
      throw new PullError('protocol-error', 'The server makes no message stream.')
    }
    this.#messageStreamId = id
    this.#socket.expectMedia(LIMITS)
    this.#socket.send(commands.setBufferLength(id, BUFFER_MS))
    // §7.2.2.1: -2 asks for a live stream, or else a recorded one.
    this.#send(id, 'play', ++this.#transactionId, null, stream, -2)
  }

  /** Says goodbye and closes; at most half a second. */
  async leave(): Promise<void> {
    if (this.#lost.signal.aborted) return
    this.#lost.abort(new PullError('peer-closed', 'We have left.'))
    if (this.#messageStreamId !== null) {
      this.#send(0, 'deleteStream', ++this.#transactionId, null, this.#messageStreamId)
    }
    await this.#socket.closeGently()
  }

  #take(message: RtmpMessage, arrivedAt: EpochMs): Promise<void> | null {
    switch (message.typeId) {
      case commands.TYPE_COMMAND_AMF0:
      case commands.TYPE_COMMAND_AMF3:
        this.#command(commands.parseCommand(message.typeId, message.payload))
        return null
      case commands.TYPE_USER_CONTROL:
        if (commands.isStreamEnd(message.payload)) {
          this.#lose(new PullError('peer-closed', 'The server has ended the stream.'))
        }
        return null
      default:
        // On whatever message stream: one is asked for, and node-media-server plays it on 0.
        return this.#messageStreamId === null ? null : this.#options.onMedia(message, arrivedAt)
    }
  }

  #command(command: commands.Command): void {
    switch (command.name) {
      case '_result':
      case '_error': {
        const waiting = this.#waiting.get(command.transactionId)
        this.#waiting.delete(command.transactionId)
        waiting?.resolve(command)
        return
      }
      case 'onStatus': {
        const failure = toPlayFailure(readStatus(command.args))
        if (failure !== null) this.#lose(failure)
        return
      }
      case 'close':
        this.#lose(new PullError('peer-closed', 'The server has closed the connection.'))
    }
  }

  async #call(name: string, ...args: readonly Amf0Answer[]): Promise<commands.Command> {
    const transactionId = ++this.#transactionId
    const answer = createDeferred<commands.Command>()
    this.#waiting.set(transactionId, answer)
    this.#send(0, name, transactionId, ...args)
    try {
      return await this.#inTime(answer.promise)
    } finally {
      this.#waiting.delete(transactionId)
    }
  }

  #send(messageStreamId: number, name: string, ...values: readonly Amf0Answer[]): void {
    this.#socket.send(commands.toCommand(messageStreamId, name, ...values))
  }

  /** @throws PullError `no-answer`, or why the connection was lost */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    this.lost.throwIfAborted()
    const done = new AbortController()
    try {
      const limit = this.#options.clock.sleep(
        this.#options.answerTimeoutMs,
        AbortSignal.any([done.signal, this.lost]),
      )
      const late = limit.then(() => {
        throw new PullError('no-answer', 'The server does not answer in time.')
      })
      return await Promise.race([work, late])
    } finally {
      done.abort()
    }
  }

  #lose(failure: PullError): void {
    if (this.#lost.signal.aborted) return
    this.#lost.abort(failure)
    this.#socket.close()
  }
}

export type PlaySessionOptions = {
  readonly clock: Clock
  readonly answerTimeoutMs: number
  /** @returns a promise when nothing is to be read until it resolves */
  readonly onMedia: (message: RtmpMessage, arrivedAt: EpochMs) => Promise<void> | null
}

const LIMITS: ChunkLimits = {
  maxMessageBytes: 8 * 1024 * 1024,
  maxPendingBytes: 16 * 1024 * 1024,
  maxChunkStreams: 64,
}

/** What Flash players say; servers use it to pace recorded streams. */
const BUFFER_MS = 3_000

type Status = { readonly level: string; readonly code: string; readonly description: string }

function readStatus(args: readonly AmfValue[]): Status {
  const info = args.find((arg, i) => i > 0 && arg instanceof Map) as AmfObject | undefined
  const text = (name: string): string => {
    const value = info?.get(name)
    return typeof value === 'string' ? value : ''
  }
  return { level: text('level'), code: text('code'), description: text('description') }
}

/** A failure quotes the code only: descriptions repeat what was asked for, with its password. */
function toRejection(code: string, description: string): PullError {
  const message = `The server rejects the connection: ${toShown(code)}.`
  const isUnknown = /InvalidApp/i.test(code) || /not found|invalid app/i.test(description)
  return new PullError(isUnknown ? 'not-found' : 'unauthorised', message)
}

/** `null` for a status that is none. */
function toPlayFailure({ level, code }: Status): PullError | null {
  const message = `The server says ${toShown(code)}.`
  if (/Play\.(StreamNotFound|FileNotFound|NoSupportedTrackFound)/i.test(code)) {
    return new PullError('not-found', message)
  }
  if (/Unauthori[sz]ed|AuthFail|Denied/i.test(code)) return new PullError('unauthorised', message)
  if (/Play\.(Stop|Complete|UnpublishNotify)|Connect\.Closed/i.test(code)) {
    return new PullError('peer-closed', message)
  }
  return level === 'error' ? new PullError('no-media', message) : null
}

function toShown(code: string): string {
  return /^[\w.]{1,64}$/.test(code) ? code : 'something else'
}

function toProtocolError(error: unknown): PullError {
  if (error instanceof PullError) return error
  return new PullError('protocol-error', 'The server sends no RTMP.', error)
}
