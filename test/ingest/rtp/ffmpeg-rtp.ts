import { spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { scratchDirectory } from '../../support/scratch.ts'

/** What ffmpeg sends for one media: its SDP, and the RTP and RTCP datagrams in order of arrival. */
export type Sent = {
  readonly sdp: string
  readonly datagrams: readonly { readonly isRtcp: boolean; readonly bytes: Uint8Array }[]
}

/**
 * Lets ffmpeg's RTP muxer send one stream over UDP on the loopback, in real time so that nothing is
 * lost, and keeps all of it.
 *
 * @param output what stands between the input and the muxer: maps, codecs, options
 */
export async function sendRtp(input: readonly string[], output: readonly string[]): Promise<Sent> {
  const [rtp, rtcp] = await bindPair()
  const datagrams: { isRtcp: boolean; bytes: Uint8Array }[] = []
  rtp.on('message', (bytes) => datagrams.push({ isRtcp: false, bytes: new Uint8Array(bytes) }))
  rtcp.on('message', (bytes) => datagrams.push({ isRtcp: true, bytes: new Uint8Array(bytes) }))
  try {
    const sdpPath = join(await scratchDirectory(), 'stream.sdp')
    const url = `rtp://127.0.0.1:${rtp.address().port}`
    const quiet = ['-hide_banner', '-loglevel', 'error', '-nostdin']
    const args = [...quiet, ...input, ...output, '-f', 'rtp', '-sdp_file', sdpPath, url]
    const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`ffmpeg ended with ${code}`)
    await untilRead(rtp)
    await untilRead(rtcp)
    datagrams.splice(0, datagrams.length, ...datagrams.filter(({ bytes }) => bytes.length > 0))
    return { sdp: await readFile(sdpPath, 'utf8'), datagrams }
  } finally {
    rtp.close()
    rtcp.close()
  }
}

/** What was sent before has been read when an empty datagram of our own comes out behind it. */
async function untilRead(socket: Socket): Promise<void> {
  const read = new Promise<void>((resolve) => {
    socket.on('message', (bytes) => {
      if (bytes.length === 0) resolve()
    })
  })
  socket.send(new Uint8Array(0), socket.address().port, '127.0.0.1')
  await read
}

/** An even port and the odd one above it, both free. */
async function bindPair(): Promise<readonly [Socket, Socket]> {
  for (;;) {
    const rtp = await bind(0)
    const { port } = rtp.address()
    if (port % 2 === 0) {
      try {
        return [rtp, await bind(port + 1)]
      } catch {
        // taken: another pair
      }
    }
    rtp.close()
  }
}

async function bind(port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening') // rejects on 'error'
  return socket
}
