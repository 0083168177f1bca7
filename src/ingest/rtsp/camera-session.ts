import type { EpochMs } from '../../domain/time.ts'
import type { Clock } from '../../platform/clock.ts'
import { PullError, type PullTarget } from '../pull/pull.ts'
import { parseSdp, type MediaDescription, type SessionDescription } from '../sdp/parse-sdp.ts'
import { connectSocket } from '../pull/connect-socket.ts'
import { RtspClient, type ClientRequest } from './client.ts'
import { resolveControl, toBaseUrl } from './control-url.ts'
import { headerOf, type OutgoingHeaders, type RtspResponse } from './message.ts'
import { chooseMedias } from './pull-medias.ts'
import { parseMethods, parseSession } from './session-header.ts'
import { parseTransports, type Transport } from './transport-header.ts'
import { bindAnyUdpPorts, type UdpPorts } from './udp-ports.ts'

/**
 * The conversation with one camera: OPTIONS, DESCRIBE and where it leads, SETUP, PLAY, signs of life,
 * TEARDOWN. What comes of media is handed on by media; it decides nothing about it.
 */
export class CameraSession {
  readonly #target: PullTarget
  readonly #deps: CameraSessionDeps
  readonly #client: RtspClient
  readonly #places = new Map<number, { readonly mediaIndex: number; readonly kind: PacketKind }>()
  readonly #ways = new Map<number, { readonly rtcpChannel: number } | UdpPorts>()
  readonly #ssrcs = new Map<number, number>()
  readonly #medias: MediaDescription[] = []
  readonly #description: SessionDescription
  readonly #base: string
  readonly #methods: ReadonlySet<string>
  #lower: Transport['lower'] = 'tcp'
  #id: string | null = null
  #timeoutSeconds = 60
  #hasGetParameter = true
  #hasLeft = false

  private constructor(
    { target, deps, client }: CameraParts,
    described: { description: SessionDescription; base: string; methods: ReadonlySet<string> },
  ) {
    this.#target = target
    this.#deps = deps
    this.#client = client
    this.#description = described.description
    this.#base = described.base
    this.#methods = described.methods
  }

  /**
   * Connects, asks what there is, and follows the camera to another URL if it says so.
   *
   * @throws PullError; the signal's reason
   */
  static async open(
    target: PullTarget,
    deps: CameraSessionDeps,
    signal: AbortSignal,
  ): Promise<CameraSession> {
    let { url, credentials } = target
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const socket = await connectSocket({ ...target, url }, deps.clock, signal)
      let session: CameraSession | null = null
      const client: RtspClient = new RtspClient(socket, {
        ...deps,
        credentials,
        onFrame: (channel, payload, at) => session?.frame(channel, payload, at) ?? null,
      })
      const abandon = () => client.close()
      signal.addEventListener('abort', abandon, { once: true })
      try {
        const described = await describe(client, url, 2 * target.connectTimeoutMs)
        if ('location' in described) {
          client.close()
          const next = toRedirect(url, described.location)
          // A password goes nowhere that its owner has not named, and not into the open.
          const isSame = next.hostname === url.hostname && next.protocol === url.protocol
          if (!isSame) credentials = null
          url = next
          continue
        }
        session = new CameraSession({ target, deps, client }, described)
        return session
      } catch (error) {
        client.close()
        throw signal.aborted ? signal.reason : error
      } finally {
        signal.removeEventListener('abort', abandon)
      }
    }
    throw new PullError('protocol-error', 'The camera redirects for ever.')
  }

  /** Those that are set up. */
  get medias(): readonly MediaDescription[] {
    return this.#medias
  }

  /** By media, where the camera has told it. */
  get ssrcs(): ReadonlyMap<number, number> {
    return this.#ssrcs
  }

  get lower(): Transport['lower'] {
    return this.#lower
  }

  get peer(): string {
    return `${this.#client.remoteAddress}:${this.#client.remotePort}`
  }

  /** Aborts when the connection is gone; its reason is a PullError. */
  get lost(): AbortSignal {
    return this.#client.lost
  }

  get isSuspended(): boolean {
    return this.#client.isSuspended
  }

  /** The shortest time for which the camera keeps a silent session is 60 s for most. */
  get keepaliveMs(): number {
    return (Math.min(this.#timeoutSeconds, 60) / 2) * 1000
  }

  /** @throws PullError when no video, or nothing at all, can be had */
  async setUp(): Promise<void> {
    const wanted = chooseMedias(this.#description.medias)
    if (wanted.length === 0) throw new PullError('no-media', 'The camera has nothing to offer.')
    if (this.#target.transport === 'udp') this.#lower = 'udp'
    for (const media of wanted) {
      let response = await this.#setUpOne(media)
      const mayChange = this.#target.transport === 'auto' && this.#medias.length === 0
      if (response.status === UNSUPPORTED_TRANSPORT && mayChange) {
        this.#lower = 'udp'
        response = await this.#setUpOne(media)
      }
      if (isOk(response)) this.#medias.push(media)
      else if (media.kind === 'video') throw toRefusal('SETUP', response)
      else this.#deps.onSkipped(media, response.status)
    }
    if (this.#medias.length === 0) throw new PullError('no-media', 'The camera refuses all media.')
  }

  /** What comes from now on is media of ours, also if it overtakes the answer. */
  async play(): Promise<void> {
    this.#client.expectMedia()
    const response = await this.#request('PLAY', this.#aggregate, [['Range', 'npt=0.000-']])
    if (!isOk(response)) throw toRefusal('PLAY', response)
  }

  /** By what the camera lists; nobody waits for the answer. */
  keepAlive(): void {
    const method =
      this.#hasGetParameter && this.#methods.has('GET_PARAMETER')
        ? 'GET_PARAMETER'
        : this.#hasGetParameter && this.#methods.has('SET_PARAMETER')
          ? 'SET_PARAMETER'
          : 'OPTIONS'
    this.#client.tell({
      ...this.#toRequest(method, this.#aggregate, []),
      onAnswer: ({ status }) => {
        if (status === 405 || status === 501 || status === 551) this.#hasGetParameter = false
      },
    })
  }

  sendRtcp(mediaIndex: number, packet: Uint8Array): void {
    const way = this.#ways.get(mediaIndex)
    if (way === undefined) return
    if ('rtcpChannel' in way) this.#client.sendFrame(way.rtcpChannel, packet)
    else way.sendRtcp(packet)
  }

  /** Says goodbye, waits half a second for the answer, closes. Never rejects. */
  async leave(): Promise<void> {
    this.#hasLeft = true
    try {
      if (this.#id !== null || this.#medias.length > 0) {
        await this.#client.request(this.#toRequest('TEARDOWN', this.#aggregate, []), TEARDOWN_MS)
      }
    } catch {
      // gone already, or not polite itself
    } finally {
      this.#client.close()
      for (const way of this.#ways.values()) if ('close' in way) way.close()
    }
  }

  frame(channel: number, payload: Uint8Array, arrivedAt: EpochMs): Promise<void> | null {
    const place = this.#places.get(channel)
    if (place === undefined) return null
    return this.#deps.onPacket(place.mediaIndex, place.kind, payload, arrivedAt)
  }

  async #setUpOne(media: MediaDescription): Promise<RtspResponse> {
    return this.#lower === 'tcp' ? this.#setUpTcp(media) : this.#setUpUdp(media)
  }

  async #setUpTcp(media: MediaDescription): Promise<RtspResponse> {
    const asked = [2 * this.#medias.length, 2 * this.#medias.length + 1] as const
    const response = await this.#requestSetUp(
      media,
      `RTP/AVP/TCP;unicast;interleaved=${asked.join('-')}`,
    )
    if (!isOk(response)) return response
    const transport = this.#confirmed(media, response)
    const [rtp, rtcp] = transport?.interleaved ?? asked
    this.#places.set(rtp, { mediaIndex: media.index, kind: 'rtp' })
    this.#places.set(rtcp, { mediaIndex: media.index, kind: 'rtcp' })
    this.#ways.set(media.index, { rtcpChannel: rtcp })
    return response
  }

  async #setUpUdp(media: MediaDescription): Promise<RtspResponse> {
    const ports = await bindAnyUdpPorts(this.#client.localAddress)
    try {
      const clientPort = `${ports.rtpPort}-${ports.rtpPort + 1}`
      const response = await this.#requestSetUp(media, `RTP/AVP;unicast;client_port=${clientPort}`)
      if (!isOk(response)) return response
      this.#takeUdp(media, ports, this.#confirmed(media, response))
      return response
    } finally {
      if (this.#hasLeft || !this.#ways.has(media.index)) ports.close()
    }
  }

  #takeUdp(media: MediaDescription, ports: UdpPorts, transport: Transport | null): void {
    const address = toAddress(transport?.source) ?? this.#client.remoteAddress
    const serverPorts = transport?.serverPort ?? null
    ports.receive({ address, ports: serverPorts }, (kind, packet) => {
      // Over UDP nobody can be made to wait.
      void this.#deps.onPacket(media.index, kind, packet, this.#deps.clock.now())
    })
    if (serverPorts !== null) ports.openWay(address, serverPorts)
    this.#ways.set(media.index, ports)
  }

  async #requestSetUp(media: MediaDescription, transport: string): Promise<RtspResponse> {
    const url = resolveControl(this.#base, media.control)
    const response = await this.#request('SETUP', url, [['Transport', transport]])
    // Some change it with every SETUP: the latest is the one that they know later.
    const session = parseSession(headerOf(response.headers, 'session'))
    if (isOk(response) && session !== null) {
      this.#id = session.id
      this.#timeoutSeconds = session.timeoutSeconds
    }
    return response
  }

  /** Values that a camera leaves out are those that it was asked for. */
  #confirmed(media: MediaDescription, response: RtspResponse): Transport | null {
    const transport = parseTransports(headerOf(response.headers, 'transport') ?? '')[0] ?? null
    if (transport !== null && transport.lower !== this.#lower) {
      throw new PullError('protocol-error', 'The camera answers with a transport not asked for.')
    }
    if (transport?.ssrc != null) this.#ssrcs.set(media.index, transport.ssrc)
    return transport
  }

  get #aggregate(): string {
    return resolveControl(this.#base, this.#description.control)
  }

  #request(method: string, uri: string, headers: OutgoingHeaders): Promise<RtspResponse> {
    return this.#client.request(
      this.#toRequest(method, uri, headers),
      2 * this.#target.connectTimeoutMs,
    )
  }

  #toRequest(method: string, uri: string, headers: OutgoingHeaders): ClientRequest {
    const session = this.#id === null ? [] : ([['Session', this.#id]] as const)
    return { method, uri, headers: [...session, ...headers] }
  }
}

export type PacketKind = 'rtp' | 'rtcp'

export type CameraSessionDeps = {
  readonly clock: Clock
  /** A promise when nothing is to be read until it resolves. */
  readonly onPacket: (
    mediaIndex: number,
    kind: PacketKind,
    packet: Uint8Array,
    arrivedAt: EpochMs,
  ) => Promise<void> | null
  readonly throttle: () => Promise<void> | null
  /** The camera offers it and does not give it. */
  readonly onSkipped: (media: MediaDescription, status: number) => void
}

type CameraParts = {
  readonly target: PullTarget
  readonly deps: CameraSessionDeps
  readonly client: RtspClient
}

type Described = {
  readonly description: SessionDescription
  readonly base: string
  readonly methods: ReadonlySet<string>
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 305, 307, 308])
const UNSUPPORTED_TRANSPORT = 461
const TEARDOWN_MS = 500

async function describe(
  client: RtspClient,
  url: URL,
  timeoutMs: number,
): Promise<Described | { readonly location: string }> {
  const uri = url.href
  const options = await client.request({ method: 'OPTIONS', uri }, timeoutMs)
  const response = await client.request(
    { method: 'DESCRIBE', uri, headers: [['Accept', 'application/sdp']] },
    timeoutMs,
  )
  const location = headerOf(response.headers, 'location')
  if (REDIRECTS.has(response.status) && location !== null) return { location }
  if (!isOk(response)) throw toRefusal('DESCRIBE', response)
  try {
    return {
      // Whatever Content-Type says, if anything: it is what was asked for.
      description: parseSdp(Buffer.from(response.body).toString('utf8')),
      base: toBaseUrl(uri, response.headers),
      methods: parseMethods(options.headers.get('public') ?? []),
    }
  } catch (error) {
    throw new PullError('no-media', 'The description of the camera names no media.', error)
  }
}

function toRedirect(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) {
    throw new PullError('protocol-error', 'The camera redirects to no URL.')
  }
  const url = new URL(location, from)
  if (!/^rtsps?:$/.test(url.protocol) || url.hostname === '') {
    throw new PullError('protocol-error', 'The camera redirects to something that is not RTSP.')
  }
  url.username = ''
  url.password = ''
  return url
}

/** Some name a host here; only an address can be compared with where packets come from. */
function toAddress(source: string | null | undefined): string | null {
  return source != null && /^[\d.]+$|:/.test(source) && source !== '0.0.0.0' ? source : null
}

function isOk({ status }: RtspResponse): boolean {
  return status >= 200 && status < 300
}

function toRefusal(method: string, { status, reason }: RtspResponse): PullError {
  const message = `The camera answers ${status} ${reason.slice(0, 64)} to ${method}.`
  if (status === 403) return new PullError('unauthorised', message)
  if (status === 404 || status === 410 || status === 454) return new PullError('not-found', message)
  // Too many clients, too little bandwidth, still starting: it may do so later.
  if (status >= 500 || status === 453 || status === 461) return new PullError('no-media', message)
  return new PullError('protocol-error', message)
}
