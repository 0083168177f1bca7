import type { RtspAnswer } from './answer.ts'
import { parseTransports, type Pair, type Transport } from './transport-header.ts'
import { countUdpDrops } from './udp-drops.ts'
import type { UdpPortRange, UdpPorts } from './udp-ports.ts'

/** On which ways the medias of one publisher come: channels of its connection, or UDP ports. */
export class MediaChannels {
  readonly #sendFrame: (channel: number, payload: Uint8Array) => void
  readonly #places = new Map<number, ChannelPlace>()
  readonly #ways = new Map<number, Pair | UdpPorts>()
  #lower: Transport['lower'] | null = null
  #isClosed = false

  constructor(sendFrame: (channel: number, payload: Uint8Array) => void) {
    this.#sendFrame = sendFrame
  }

  /** All medias of a session use the same. */
  get lower(): Transport['lower'] {
    return this.#lower ?? 'tcp'
  }

  /** The smallest that the system granted; `null` over TCP. */
  get receiveBufferBytes(): number | null {
    const granted = [...this.#ways.values()].flatMap((way) =>
      'receiveBufferBytes' in way ? way.receiveBufferBytes : [],
    )
    return granted.length === 0 ? null : Math.min(...granted)
  }

  /** Datagrams that the system dropped before we read them, so far; 0 over TCP. */
  async countDropped(): Promise<number> {
    const ports = [...this.#ways.values()].flatMap((way) =>
      'rtpPort' in way ? [way.rtpPort, way.rtpPort + 1] : [],
    )
    return ports.length === 0 ? 0 : countUdpDrops(ports)
  }

  has(mediaIndex: number): boolean {
    return this.#ways.has(mediaIndex)
  }

  placeOf(channel: number): ChannelPlace | undefined {
    return this.#places.get(channel)
  }

  /** Takes the first of the offers that is possible here, and answers with it. */
  setUp(mediaIndex: number, request: SetUpRequest): RtspAnswer | Promise<RtspAnswer> {
    if (this.#ways.has(mediaIndex)) return { status: 400, reason: 'The Media Is Set Up' }
    const offers = parseTransports(request.offers)
    const offer = offers.find((each) => isPossible(each, request.udpPorts !== null))
    if (offer === undefined) return { status: offers.length === 0 ? 400 : 461 }
    if (this.#lower !== null && this.#lower !== offer.lower) {
      return { status: 400, reason: 'One Transport for All Medias' }
    }
    return offer.lower === 'tcp'
      ? this.#setUpTcp(mediaIndex, offer, request)
      : this.#setUpUdp(mediaIndex, offer, request, request.udpPorts!)
  }

  sendRtcp(mediaIndex: number, packet: Uint8Array): void {
    const way = this.#ways.get(mediaIndex)
    if (way === undefined) return
    if ('sendRtcp' in way) way.sendRtcp(packet)
    else this.#sendFrame(way[1], packet)
  }

  close(): void {
    this.#isClosed = true
    for (const way of this.#ways.values()) if ('close' in way) way.close()
  }

  #setUpTcp(mediaIndex: number, offer: Transport, request: SetUpRequest): RtspAnswer {
    const pair = offer.interleaved ?? this.#freePair()
    const isUsable = pair[1] === pair[0] + 1 && !pair.some((channel) => this.#places.has(channel))
    if (!isUsable) return { status: 400, reason: 'Channels Must Be an Unused Pair' }
    this.#places.set(pair[0], { mediaIndex, kind: 'rtp' })
    this.#places.set(pair[1], { mediaIndex, kind: 'rtcp' })
    this.#ways.set(mediaIndex, pair)
    this.#lower = 'tcp'
    return accept(`RTP/AVP/TCP;unicast;interleaved=${pair.join('-')};mode=record`, request)
  }

  async #setUpUdp(
    mediaIndex: number,
    offer: Transport,
    request: SetUpRequest,
    range: UdpPortRange,
  ): Promise<RtspAnswer> {
    if (offer.clientPort === null) return { status: 400, reason: 'No client_port' }
    const ports = await range.bind(request.localAddress).catch(() => null)
    if (ports === null) return { status: 461, reason: 'No UDP Port Is Free' }
    if (this.#isClosed) {
      ports.close()
      return { status: 455 }
    }
    ports.receive({ address: request.peerAddress, ports: offer.clientPort }, request.onPacket)
    this.#ways.set(mediaIndex, ports)
    this.#lower = 'udp'
    const clientPort = offer.clientPort.join('-')
    const serverPort = `${ports.rtpPort}-${ports.rtpPort + 1}`
    return accept(
      `RTP/AVP/UDP;unicast;client_port=${clientPort};server_port=${serverPort};mode=record`,
      request,
    )
  }

  #freePair(): Pair {
    let channel = 0
    while (this.#places.has(channel) || this.#places.has(channel + 1)) channel += 2
    return [channel, channel + 1]
  }
}

export type ChannelPlace = { readonly mediaIndex: number; readonly kind: 'rtp' | 'rtcp' }

export type SetUpRequest = {
  /** The `Transport` header. */
  readonly offers: string
  /** `null`: UDP is off. */
  readonly udpPorts: UdpPortRange | null
  readonly peerAddress: string
  readonly localAddress: string
  /** Over UDP. */
  readonly onPacket: (kind: 'rtp' | 'rtcp', packet: Uint8Array) => void
  readonly sessionHeader: string
}

/** `receive` is what old ffmpeg calls `record`. */
const RECORD_MODES = new Set<string | null>([null, 'record', 'receive'])
const PROFILES = new Set(['RTP/AVP', 'RTP/AVPF'])

function isPossible(offer: Transport, hasUdp: boolean): boolean {
  return (
    PROFILES.has(offer.profile) &&
    !offer.isMulticast &&
    RECORD_MODES.has(offer.mode) &&
    (offer.lower === 'tcp' || hasUdp)
  )
}

function accept(transport: string, { sessionHeader }: SetUpRequest): RtspAnswer {
  return {
    status: 200,
    headers: [
      ['Session', sessionHeader],
      ['Transport', transport],
    ],
  }
}
