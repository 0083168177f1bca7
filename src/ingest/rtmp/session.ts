import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type { LiveSession, LiveSessions, SessionEndReason } from '../live-sessions.ts'
import { FlvIntake } from '../flv/flv-intake.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import type { RtmpMessage } from './chunk-stream.ts'
import type { OutgoingMessage } from './chunk-writer.ts'
import * as commands from './commands.ts'
import { RtmpProtocolError } from './rtmp-error.ts'
import { takeMedia } from './take-media.ts'

/**
 * The life of one publisher above the chunk stream:
 *
 * ```
 * new --connect--> connected --publish: key, claim, Start--> publishing
 *                      ^------- FCUnpublish, deleteStream, closeStream ----'
 * ```
 * Media is taken in `publishing` only, and every message asks. What does not fit the state throws:
 * {@link RtmpProtocolError} ends the connection, {@link RtmpRefusal} does so after an answer.
 */
export class RtmpSession {
  readonly #deps: RtmpSessionDeps
  readonly #options: RtmpSessionOptions
  #state: SessionState = { name: 'new' }
  #streamIds = 0
  /** The last `publish`, which may still be waiting for its claim. */
  #claiming: Promise<void> | null = null

  constructor(deps: RtmpSessionDeps, options: RtmpSessionOptions) {
    this.#deps = deps
    this.#options = options
  }

  get publishing(): LiveSession | null {
    return this.#state.name === 'publishing' ? this.#state.live : null
  }

  /**
   * @returns a promise when the next message must wait for this one
   * @throws RtmpProtocolError, RtmpRefusal, MalformedMediaError
   */
  handle(message: RtmpMessage, arrivedAt: EpochMs): Promise<void> | null {
    switch (message.typeId) {
      case commands.TYPE_AUDIO:
      case commands.TYPE_VIDEO:
      case commands.TYPE_AGGREGATE:
      case commands.TYPE_DATA_AMF0:
      case commands.TYPE_DATA_AMF3:
        this.#media(message, arrivedAt)
        return null
      case commands.TYPE_COMMAND_AMF0:
      case commands.TYPE_COMMAND_AMF3:
        return this.#command(message)
      default: // acknowledgements, stream events, shared objects: nothing that a publisher needs
        return null
    }
  }

  /** Asks the peer whether it is still there. */
  ping(): void {
    this.#deps.send(commands.pingRequest(0))
  }

  /** Completes what was published. Safe at any time, more than once. */
  async end(reason: SessionEndReason): Promise<void> {
    const state = this.#state
    this.#state = { name: 'ended' }
    if (state.name === 'publishing') await state.live.end(reason)
    // A claim that comes now is given back; whoever closes us may close the archive next.
    else await this.#claiming?.catch(() => undefined)
  }

  #media(message: RtmpMessage, arrivedAt: EpochMs): void {
    const state = this.#state
    if (state.name === 'publishing' && message.messageStreamId === state.messageStreamId) {
      takeMedia(state.intake, message, arrivedAt)
      return
    }
    // Data messages are no media, and some encoders send them early.
    if (commands.isData(message.typeId)) return
    throw new RtmpProtocolError(
      state.name === 'publishing'
        ? 'media on a message stream that does not publish'
        : `media in state ${state.name}`,
    )
  }

  #command(message: RtmpMessage): Promise<void> | null {
    const command = commands.parseCommand(message.typeId, message.payload)
    const { transactionId } = command
    if (this.#state.name === 'new') {
      if (command.name !== 'connect') throw new RtmpProtocolError('a command before connect')
      this.#connect(command)
      return null
    }
    switch (command.name) {
      case 'connect':
        throw new RtmpProtocolError('a second connect')
      case 'createStream':
        this.#createStream(transactionId)
        return null
      case 'publish':
        this.#claiming = this.#publish(command, message.messageStreamId)
        return this.#claiming
      case 'play':
      case 'play2':
        throw new RtmpRefusal(
          'play',
          commands.onStatus(
            message.messageStreamId,
            'NetStream.Play.Failed',
            'Streams are published over RTMP here and played over HLS.',
          ),
          'a player',
        )
      case 'FCUnpublish':
      case 'closeStream':
      case 'deleteStream':
        return this.#closeStream(command, message.messageStreamId)
      case 'FCPublish':
        if (transactionId > 0) this.#deps.send(commands.result(transactionId))
        this.#deps.send(commands.onFcPublish())
        return null
      case 'releaseStream':
      case '_checkbw':
        this.#deps.send(commands.result(transactionId))
        return null
      case 'getStreamLength':
        this.#deps.send(commands.result(transactionId, 0)) // live: no length
        return null
      default:
        // A transaction id of 0 asks for no answer (§7.2.1.1).
        if (transactionId > 0) this.#deps.send(commands.callFailed(transactionId))
        return null
    }
  }

  #connect(command: commands.Command): void {
    const request = commands.parseConnect(command)
    if (request.app !== this.#options.app) {
      throw new RtmpRefusal(
        'unknown-app',
        commands.connectRejected(command.transactionId, 'There is no such application.'),
        JSON.stringify(request.app.slice(0, 64)),
      )
    }
    this.#state = { name: 'connected', key: request.key }
    this.#deps.send(commands.windowAckSize(this.#options.windowBytes))
    this.#deps.send(commands.setPeerBandwidth(this.#options.windowBytes))
    this.#deps.send(commands.setChunkSize(this.#options.chunkBytes))
    this.#deps.send(commands.connectAccepted(command.transactionId))
  }

  #createStream(transactionId: number): void {
    if (this.#streamIds >= MAX_MESSAGE_STREAMS) {
      throw new RtmpProtocolError(`more than ${MAX_MESSAGE_STREAMS} message streams`)
    }
    this.#streamIds++
    this.#deps.send(commands.result(transactionId, this.#streamIds))
  }

  async #publish(command: commands.Command, messageStreamId: number): Promise<void> {
    const before = this.#state
    if (before.name !== 'connected') throw new RtmpProtocolError(`publish in ${before.name}`)
    const request = commands.parsePublish(command)
    const live = await this.#open(request.stream, request.key ?? before.key ?? '', messageStreamId)
    if (this.#deps.signal.aborted) {
      await live.end('peer-closed')
      return
    }
    this.#state = {
      name: 'publishing',
      key: before.key,
      messageStreamId,
      live,
      intake: new FlvIntake(live.publisher),
    }
    this.#deps.onPublishing()
    this.#deps.send(commands.streamBegin(messageStreamId))
    this.#deps.send(
      commands.onStatus(
        messageStreamId,
        'NetStream.Publish.Start',
        `Publishing ${live.info.name}.`,
      ),
    )
  }

  /** 1. the key, 2. the stream's one writer; a failure of either becomes the peer's answer. */
  async #open(stream: string, key: string, messageStreamId: number): Promise<LiveSession> {
    const { loginLimiter, clock, signal } = this.#deps
    const { protocol, peer, address } = this.#options
    const named = JSON.stringify(stream.slice(0, 64))
    if (!loginLimiter.mayTry(address)) {
      throw new RtmpRefusal(
        'too-many-failed-logins',
        commands.onStatus(
          messageStreamId,
          'NetStream.Publish.Unauthorized',
          'There were too many wrong keys from this address; try again later.',
        ),
        named,
      )
    }
    try {
      return await this.#deps.sessions.open({
        stream,
        authorisation: { kind: 'publish-key', key },
        protocol,
        peer,
        signal,
      })
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      const [reason, status] = REFUSALS[error.kind] ?? OTHER_REFUSAL
      if (reason === 'unauthorized') await clock.sleep(loginLimiter.failed(address), signal)
      const description = reason === 'failed' ? 'The stream cannot be written now.' : error.message
      throw new RtmpRefusal(
        reason,
        commands.onStatus(messageStreamId, status, description),
        `${named}: ${error.message}`,
      )
    }
  }

  #closeStream(command: commands.Command, messageStreamId: number): Promise<void> | null {
    const state = this.#state
    if (state.name !== 'publishing') return null
    // FCUnpublish names the stream, deleteStream the id, closeStream goes on the stream itself.
    const id =
      command.name === 'deleteStream'
        ? command.args[1]
        : command.name === 'closeStream'
          ? messageStreamId
          : state.messageStreamId
    if (id !== state.messageStreamId) return null
    this.#state = { name: 'connected', key: state.key }
    this.#deps.send(
      commands.onStatus(id, 'NetStream.Unpublish.Success', `Published ${state.live.info.name}.`),
    )
    return state.live.end('unpublished')
  }
}

/** The peer is told why, then the connection ends. */
export class RtmpRefusal extends ServiceError {
  override name = 'RtmpRefusal'
  readonly reason: RefusalReason
  readonly answer: OutgoingMessage

  constructor(reason: RefusalReason, answer: OutgoingMessage, detail: string) {
    super('permission-denied', 'RtmpRefused', detail)
    this.reason = reason
    this.answer = answer
  }
}

export type RefusalReason =
  'unauthorized' | 'too-many-failed-logins' | 'busy' | 'failed' | 'play' | 'unknown-app'

const REFUSALS: Partial<
  Record<ServiceError['kind'], readonly [RefusalReason, commands.NetStreamStatus]>
> = {
  unauthenticated: ['unauthorized', 'NetStream.Publish.Unauthorized'],
  conflict: ['busy', 'NetStream.Publish.BadName'],
}
const OTHER_REFUSAL = ['failed', 'NetStream.Publish.Failed'] as const

export type RtmpSessionDeps = IngestDeps & {
  readonly sessions: LiveSessions
  readonly loginLimiter: LoginLimiter
  /** Aborts with the connection. */
  readonly signal: AbortSignal
  readonly send: (message: OutgoingMessage) => void
  /** The peer is authorised from here on. */
  readonly onPublishing: () => void
}

export type RtmpSessionOptions = {
  readonly protocol: 'rtmp' | 'rtmps'
  readonly peer: string
  /** The peer's without its port. */
  readonly address: string
  readonly app: string
  readonly windowBytes: number
  readonly chunkBytes: number
}

type Publishing = {
  readonly name: 'publishing'
  /** From the URL, for another publish on this connection. */
  readonly key: string | null
  readonly messageStreamId: number
  readonly live: LiveSession
  readonly intake: FlvIntake
}

type SessionState =
  | { readonly name: 'new' }
  | { readonly name: 'connected'; readonly key: string | null }
  | Publishing
  | { readonly name: 'ended' }

const MAX_MESSAGE_STREAMS = 16
