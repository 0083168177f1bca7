import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { ServiceError } from '../../domain/errors.ts'

/**
 * Two neighbouring UDP ports of one media: RTP on the even one, RTCP above it (RFC 3550 §11). Takes
 * packets from its peer's address only; the first port that sends from there is the peer's, since a
 * router on the way may have changed it.
 */
export class UdpPorts {
  readonly rtpPort: number
  /** What the system granted of {@link RECEIVE_BUFFER_BYTES}. */
  readonly receiveBufferBytes: number
  readonly #rtp: Socket
  readonly #rtcp: Socket
  #rtcpPeer: { readonly address: string; readonly port: number } | null = null
  #isClosed = false

  constructor(rtp: Socket, rtcp: Socket) {
    this.#rtp = rtp
    this.#rtcp = rtcp
    this.rtpPort = rtp.address().port
    this.receiveBufferBytes = rtp.getRecvBufferSize()
    // A peer that is gone answers with ICMP; its silence ends the session.
    for (const socket of [rtp, rtcp]) socket.on('error', () => undefined)
  }

  /**
   * @param ports what the peer announced; `null` when it did not
   * @param onPacket gets a buffer of its own
   */
  receive(
    peer: { readonly address: string; readonly ports: readonly [number, number] | null },
    onPacket: (kind: 'rtp' | 'rtcp', packet: Uint8Array) => void,
  ): void {
    const address = toPlainAddress(peer.address)
    if (peer.ports !== null) this.#rtcpPeer = { address: peer.address, port: peer.ports[1] }
    const from = (kind: 'rtp' | 'rtcp') => {
      let port: number | null = null
      return (packet: Buffer, info: RemoteInfo) => {
        if (toPlainAddress(info.address) !== address) return
        port ??= info.port
        if (info.port !== port) return
        if (kind === 'rtcp') this.#rtcpPeer = { address: info.address, port }
        onPacket(kind, packet)
      }
    }
    this.#rtp.on('message', from('rtp'))
    this.#rtcp.on('message', from('rtcp'))
  }

  sendRtcp(packet: Uint8Array): void {
    if (this.#isClosed || this.#rtcpPeer === null) return
    this.#rtcp.send(packet, this.#rtcpPeer.port, this.#rtcpPeer.address)
  }

  /** Lets what comes back through a router or a firewall on our side. */
  openWay(address: string, ports: readonly [number, number]): void {
    if (this.#isClosed) return
    this.#rtp.send(EMPTY_RTP, ports[0], address)
    this.#rtcp.send(EMPTY_RECEIVER_REPORT, ports[1], address)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#rtp.close()
    this.#rtcp.close()
  }
}

/** The pairs of a range that a server may use, one after the other. */
export class UdpPortRange {
  readonly #pairs: readonly number[]
  #next = 0

  /** @param first the first even port at or above it is the first of a pair; both inclusive */
  constructor({ first, last }: { readonly first: number; readonly last: number }) {
    const even = first + (first % 2)
    const count = Math.max(0, Math.floor((last + 1 - even) / 2))
    this.#pairs = Array.from({ length: count }, (_, i) => even + 2 * i)
  }

  /** @throws ServiceError `limit-exceeded`/`NoUdpPort` when all are taken */
  async bind(host: string): Promise<UdpPorts> {
    for (let tries = 0; tries < this.#pairs.length; tries++) {
      const ports = await bindPair(host, this.#pairs[this.#next++ % this.#pairs.length]!)
      if (ports !== null) return ports
    }
    throw new ServiceError('limit-exceeded', 'NoUdpPort', 'All UDP ports of the range are in use.')
  }
}

/** Any pair, for a client. @throws ServiceError `limit-exceeded`/`NoUdpPort` */
export async function bindAnyUdpPorts(host: string): Promise<UdpPorts> {
  const start = CLIENT_FIRST_PORT + 2 * Math.floor(Math.random() * CLIENT_PAIRS)
  const range = new UdpPortRange({ first: start, last: start + 2 * MAX_CLIENT_TRIES - 1 })
  return range.bind(host)
}

/** Cameras send a key frame in one burst; the default of most systems holds 200 KB. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
/** Below the ports that systems hand out by themselves. */
const CLIENT_FIRST_PORT = 16_384
const CLIENT_PAIRS = 7_000
const MAX_CLIENT_TRIES = 64

/** Version 2 and nothing else: no receiver takes it for media. */
const EMPTY_RTP = Buffer.from('800000000000000000000000', 'hex')
const EMPTY_RECEIVER_REPORT = Buffer.from('80c9000100000000', 'hex')

/** @returns `null` when one of the two is taken */
async function bindPair(host: string, rtpPort: number): Promise<UdpPorts | null> {
  const sockets: Socket[] = []
  try {
    for (const port of [rtpPort, rtpPort + 1]) {
      const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
      sockets.push(socket)
      socket.bind(port, host)
      await once(socket, 'listening')
    }
    enlarge(sockets[0]!)
    return new UdpPorts(sockets[0]!, sockets[1]!)
  } catch (error) {
    for (const socket of sockets) socket.close()
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null
    throw error
  }
}

/** Linux cuts it to `net.core.rmem_max`; others refuse what is too much. */
function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  } catch {
    // what the system gives by itself has to do
  }
}

/** IPv4 as it shows on a socket for both families. */
function toPlainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
}
