import { randomBytes } from 'node:crypto'
import { ServiceError } from '../../domain/errors.ts'
import type { EpochMs } from '../../domain/time.ts'
import type { IngestDeps } from '../ingest-deps.ts'
import type {
  Authorisation,
  LiveSession,
  LiveSessions,
  SessionEndReason,
} from '../live-sessions.ts'
import type { LoginLimiter } from '../login-limiter.ts'
import { RtpIntake } from '../rtp/rtp-intake.ts'
import { parseSdp, type SessionDescription } from '../sdp/parse-sdp.ts'
import type { RtspAnswer } from './answer.ts'
import { MediaChannels } from './media-channels.ts'
import { headerOf, type RtspRequest } from './message.ts'
import { PublishAuthentication } from './publish-authentication.ts'
import { parseSession } from './session-header.ts'
import { isAbout, matchControl, parsePublishUrl, publishKeyOf } from './stream-url.ts'
import { toTransportFacts } from './transport-facts.ts'
import type { UdpPortRange } from './udp-ports.ts'

/**
 * The life of one publisher (RFC 2326 §A):
 *
 * ```
 * init --ANNOUNCE: key--> announced --SETUP of each media--> --RECORD: key, claim--> recording
 *   ^                          ^------------------ PAUSE ----------------------------'
 *   '--- TEARDOWN from anywhere
 * ```
 * Media is taken in `recording` only. A method that does not fit the state gets 455.
 */
export class RtspPublishSession {
  readonly #deps: RtspPublishSessionDeps
  readonly #options: RtspPublishSessionOptions
  readonly #authentication: PublishAuthentication
  readonly #id = randomBytes(8).toString('hex')
  #state: SessionState = { name: 'init' }
  /** The last RECORD, which may still be waiting for its claim. */
  #claiming: Promise<unknown> | null = null

  constructor(deps: RtspPublishSessionDeps, options: RtspPublishSessionOptions) {
    this.#deps = deps
    this.#options = options
    const nonce = randomBytes(16).toString('hex')
    this.#authentication = new PublishAuthentication(deps.registry, nonce)
  }

  get publishing(): LiveSession | null {
    return this.#state.name === 'recording' ? this.#state.live : null
  }

  /** RTP and RTCP that came since recording began. */
  get packets(): number {
    return this.#state.name === 'recording' ? this.#state.packets : 0
  }

  /** Never rejects for what a peer asks. */
  handle(request: RtspRequest): RtspAnswer | Promise<RtspAnswer> {
    const session = parseSession(headerOf(request.headers, 'session'))
    // Ids are of one connection: another's can neither be guessed nor used.
    if (session !== null && session.id !== this.#id) return { status: 454 }
    switch (request.method) {
      case 'OPTIONS':
        return { status: 200, headers: [['Public', METHODS]] }
      case 'GET_PARAMETER':
      case 'SET_PARAMETER':
        return { status: 200 }
      case 'ANNOUNCE':
        return this.#announce(request)
      case 'SETUP':
        return this.#setUp(request)
      case 'RECORD':
        return this.#record(request)
      case 'PAUSE':
        return this.#pause()
      case 'TEARDOWN':
        return this.#tearDown()
      case 'DESCRIBE':
      case 'PLAY':
        return {
          status: 405,
          reason: 'Streams are published over RTSP here and played over HLS',
          headers: [['Allow', METHODS]],
          refusal: 'play',
        }
      default:
        return { status: 501, headers: [['Public', METHODS]] }
    }
  }

  /** RTP or RTCP in the connection; ignored where nobody records. */
  frame(channel: number, payload: Uint8Array, arrivedAt: EpochMs): void {
    const place = this.#channels?.placeOf(channel)
    if (place !== undefined) this.#packet(place.mediaIndex, place.kind, payload, arrivedAt)
  }

  /** To be sent every 10 s (docs/design/ingest.md). */
  sendReceiverReports(): void {
    const state = this.#state
    if (state.name !== 'recording') return
    for (const { index } of state.description.medias) {
      const report = state.intake.receiverReport(index)
      if (report !== null) state.channels.sendRtcp(index, report)
    }
  }

  /** Completes what was published. Safe at any time, more than once. */
  async end(reason: SessionEndReason): Promise<void> {
    const state = this.#state
    this.#state = { name: 'ended' }
    if (state.name === 'recording') {
      await this.#finishAndClose(state, reason)
      return
    }
    this.#channelsOf(state)?.close()
    // A claim that comes now is given back; whoever closes us may close the archive next.
    await this.#claiming?.catch(() => undefined)
  }

  #announce(request: RtspRequest): RtspAnswer | Promise<RtspAnswer> {
    if (this.#state.name !== 'init') return { status: 455 }
    const about = parsePublishUrl(request.uri) ?? { stream: '', key: null }
    const judged = this.#judge(request, about)
    if (judged.refused !== null) return judged.refused
    const type = headerOf(request.headers, 'content-type') ?? ''
    if (!/^application\/sdp\s*(;|$)/i.test(type)) return { status: 415 }
    let description: SessionDescription
    try {
      description = parseSdp(Buffer.from(request.body).toString('utf8'))
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      return { status: 400, reason: 'No Media in the Description' }
    }
    this.#state = {
      name: 'announced',
      stream: about.stream,
      authorisation: judged.authorisation,
      description,
      channels: new MediaChannels(this.#deps.sendFrame),
    }
    return { status: 200 }
  }

  #setUp(request: RtspRequest): RtspAnswer | Promise<RtspAnswer> {
    const state = this.#state
    if (state.name !== 'announced') return { status: 455 }
    const { medias } = state.description
    const match = matchControl(
      request.uri,
      medias.map(({ control }) => control),
    )
    if (match === null || !isAbout(match.base, state.stream)) return { status: 404 }
    const judged = this.#judgeAgain(request, state, publishKeyOf(match.base))
    if (judged.refused !== null) return judged.refused
    const { udpPorts, address, localAddress } = this.#options
    return state.channels.setUp(match.index, {
      offers: headerOf(request.headers, 'transport') ?? '',
      udpPorts,
      peerAddress: address,
      localAddress,
      onPacket: (kind, packet) => {
        this.#packet(match.index, kind, packet, this.#deps.clock.now())
      },
      sessionHeader: this.#sessionHeader,
    })
  }

  #record(request: RtspRequest): RtspAnswer | Promise<RtspAnswer> {
    const state = this.#state
    if (state.name !== 'announced') return { status: 455 }
    if (!isAbout(request.uri, state.stream)) return { status: 404 }
    const judged = this.#judgeAgain(request, state, publishKeyOf(request.uri))
    if (judged.refused !== null) return judged.refused
    if (state.description.medias.some(({ index }) => !state.channels.has(index))) {
      return { status: 400, reason: 'Not All Medias Are Set Up' }
    }
    const answer = this.#open(state, judged.authorisation)
    this.#claiming = answer
    return answer
  }

  /** 1. the key again, 2. the stream's one writer, 3. media is taken, 4. the answer. */
  async #open(state: Announced, authorisation: Authorisation): Promise<RtspAnswer> {
    const { protocol, peer } = this.#options
    let intake: RtpIntake | null = null
    let live: LiveSession
    try {
      live = await this.#deps.sessions.open({
        stream: state.stream,
        authorisation,
        protocol,
        peer,
        signal: this.#deps.signal,
        transport: () => toTransportFacts(state.channels.lower, intake),
      })
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      return this.#refuse(error, state.stream)
    }
    if (this.#deps.signal.aborted || this.#state !== state) {
      await live.end('peer-closed')
      return { status: 455 }
    }
    intake = new RtpIntake(
      { publisher: live.publisher, clock: this.#deps.clock },
      { medias: state.description.medias, isReliable: state.channels.lower === 'tcp' },
    )
    this.#state = { ...state, name: 'recording', live, intake, packets: 0 }
    this.#deps.onPublishing()
    const { receiveBufferBytes } = state.channels
    if (receiveBufferBytes !== null) {
      const { stream } = state
      this.#deps.log.info({ stream, receiveBufferBytes }, 'RTP comes over UDP')
    }
    return { status: 200, headers: [['Session', this.#sessionHeader]] }
  }

  #refuse(error: ServiceError, stream: string): RtspAnswer {
    const detail = `${JSON.stringify(stream.slice(0, 64))}: ${error.message}`
    switch (error.kind) {
      case 'unauthenticated':
        return { ...this.#unauthorised('wrong'), refusal: 'unauthorized', detail, closes: true }
      case 'conflict':
        // No status says it; ffmpeg and GStreamer show the words of this one.
        return { status: 453, reason: 'Stream Is Busy', refusal: 'busy', detail, closes: true }
      default:
        return { status: 503, refusal: 'failed', detail, closes: true }
    }
  }

  /** Where nothing records, there is nothing to pause: GStreamer asks for it after its BYE. */
  async #pause(): Promise<RtspAnswer> {
    const state = this.#state
    if (state.name !== 'announced' && state.name !== 'recording') return { status: 455 }
    this.#state = { ...state, name: 'announced' }
    if (state.name === 'recording') await this.#finish(state, 'unpublished')
    return { status: 200, headers: [['Session', this.#sessionHeader]] }
  }

  async #tearDown(): Promise<RtspAnswer> {
    const state = this.#state
    this.#state = { name: 'init' }
    if (state.name === 'recording') await this.#finishAndClose(state, 'unpublished')
    else this.#channelsOf(state)?.close()
    return { status: 200 }
  }

  #packet(mediaIndex: number, kind: 'rtp' | 'rtcp', packet: Uint8Array, arrivedAt: EpochMs): void {
    const state = this.#state
    if (state.name !== 'recording') return
    state.packets++
    state.intake[kind](mediaIndex, packet, arrivedAt)
    if (kind === 'rtp' || !state.intake.hasEnded) return
    // All medias have said BYE: the stream is free again, whether TEARDOWN comes or not.
    this.#state = { ...state, name: 'announced' }
    this.#deps.onEnded(this.#finish(state, 'unpublished'))
  }

  async #finishAndClose(state: Recording, reason: SessionEndReason): Promise<void> {
    try {
      await this.#finish(state, reason)
    } finally {
      state.channels.close()
    }
  }

  async #finish(state: Recording, reason: SessionEndReason): Promise<void> {
    const { stream, intake, live, channels } = state
    intake.flush()
    const [droppedDatagrams] = await Promise.all([channels.countDropped(), live.end(reason)])
    if (droppedDatagrams === 0) return
    this.#deps.log.warn({ stream, droppedDatagrams }, 'the UDP receive buffer was too small')
  }

  /** Every request that has credentials is judged by them; one that has none, by the ANNOUNCE. */
  #judgeAgain(request: RtspRequest, state: Announced, key: string | null): Judgement {
    const judged = this.#judge(request, { stream: state.stream, key })
    const hasNone = key === null && !request.headers.has('authorization')
    return hasNone && state.authorisation.kind === 'publish-key'
      ? { refused: null, authorisation: state.authorisation }
      : judged
  }

  #judge(request: RtspRequest, about: { stream: string; key: string | null }): Judgement {
    const { loginLimiter, clock, signal } = this.#deps
    const { address } = this.#options
    if (!loginLimiter.mayTry(address)) {
      return { refused: { ...TOO_MANY_FAILURES, detail: address } }
    }
    const verdict = this.#authentication.judge(request, about)
    if (verdict.kind === 'accepted') return { refused: null, authorisation: verdict.authorisation }
    const answer = this.#unauthorised(verdict.kind)
    if (verdict.kind !== 'wrong') return { refused: answer }
    const late = async (): Promise<RtspAnswer> => {
      await clock.sleep(loginLimiter.failed(address), signal)
      const detail = JSON.stringify(about.stream.slice(0, 64))
      return { ...answer, refusal: 'unauthorized', detail }
    }
    return { refused: late() }
  }

  #unauthorised(why: 'missing' | 'stale' | 'wrong'): RtspAnswer {
    return { status: 401, headers: this.#authentication.challenges(why) }
  }

  get #sessionHeader(): string {
    return `${this.#id};timeout=${this.#options.keepaliveSeconds}`
  }

  get #channels(): MediaChannels | null {
    return this.#channelsOf(this.#state)
  }

  #channelsOf(state: SessionState): MediaChannels | null {
    return state.name === 'announced' || state.name === 'recording' ? state.channels : null
  }
}

export type RtspPublishSessionDeps = IngestDeps & {
  readonly sessions: LiveSessions
  readonly loginLimiter: LoginLimiter
  /** Aborts with the connection. */
  readonly signal: AbortSignal
  readonly sendFrame: (channel: number, payload: Uint8Array) => void
  /** The peer is authorised from here on. */
  readonly onPublishing: () => void
  /** Media has ended by itself; what was published is being persisted. */
  readonly onEnded: (finished: Promise<void>) => void
}

export type RtspPublishSessionOptions = {
  readonly protocol: 'rtsp' | 'rtsps'
  /** Address and port. */
  readonly peer: string
  readonly address: string
  readonly localAddress: string
  /** `null`: UDP is off. */
  readonly udpPorts: UdpPortRange | null
  readonly keepaliveSeconds: number
}

type Announced = {
  readonly name: 'announced'
  readonly stream: string
  readonly authorisation: Authorisation
  readonly description: SessionDescription
  readonly channels: MediaChannels
}

type Recording = Omit<Announced, 'name'> & {
  readonly name: 'recording'
  readonly live: LiveSession
  readonly intake: RtpIntake
  packets: number
}

type SessionState = { readonly name: 'init' } | Announced | Recording | { readonly name: 'ended' }

type Judgement =
  | { readonly refused: null; readonly authorisation: Authorisation }
  | { readonly refused: RtspAnswer | Promise<RtspAnswer> }

const METHODS = 'OPTIONS, ANNOUNCE, SETUP, RECORD, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER'

const TOO_MANY_FAILURES: RtspAnswer = {
  status: 503,
  reason: 'Too Many Failed Logins',
  refusal: 'too-many-failures',
  closes: true,
}
