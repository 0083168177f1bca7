import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { encodeAmf0, type Amf0Answer } from '../../src/ingest/amf/amf0.ts'
import { ChunkStreamReader, type RtmpMessage } from '../../src/ingest/rtmp/chunk-stream.ts'
import { parseCommand, type Command } from '../../src/ingest/rtmp/commands.ts'
import { ServerHandshake } from '../../src/ingest/rtmp/handshake.ts'
import { Recorder } from './recorder.ts'
import { toMessage } from './rtmp-client.ts'
import { untilTestEnds } from './scratch.ts'

/** What a scripted server answers a command with; nothing when it answers nothing. */
export type PlayScript = (command: Command, peer: PlayPeer) => void

/** The server's side of one connection: says exactly what a test tells it to. */
export class PlayPeer {
  readonly socket: Socket
  readonly messages = new Recorder<RtmpMessage>()
  readonly closed: Promise<void>

  constructor(socket: Socket, script: PlayScript) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined) // being left is one of the things that are tested
    const handshake = new ServerHandshake(new Uint8Array(2 * 1536))
    const reader = new ChunkStreamReader(GENEROUS)
    let greeting: Buffer | null = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      let rest: Buffer = bytes
      if (greeting !== null) {
        greeting = Buffer.concat([greeting, bytes])
        for (let used = 1; greeting !== null && used > 0;) {
          const step = handshake.step(greeting)
          used = step.consumed
          rest = greeting.subarray(used)
          if (step.reply !== null) socket.write(step.reply)
          greeting = step.done ? null : rest
        }
        if (greeting !== null) return
      }
      reader.push(rest)
      for (let each = reader.next(); each !== null; each = reader.next()) {
        this.messages.push(each)
        if (each.typeId === 20) script(parseCommand(20, each.payload), this)
      }
    })
  }

  result(command: Command, ...values: readonly Amf0Answer[]): void {
    this.command('_result', command.transactionId, null, ...values)
  }

  command(name: string, ...values: readonly Amf0Answer[]): void {
    this.socket.write(toMessage({ csid: 3, typeId: 20, payload: encodeAmf0(name, ...values) }))
  }

  status(code: string, level = 'status'): void {
    this.command('onStatus', 0, null, { level, code, description: 'of the test' })
  }

  media(typeId: number, timestamp: number, payload: Uint8Array): void {
    this.socket.write(toMessage({ csid: typeId, typeId, streamId: 1, timestamp, payload }))
  }

  get commands(): readonly Command[] {
    return this.messages.items
      .filter(({ typeId }) => typeId === 20)
      .map(({ payload }) => parseCommand(20, payload))
  }
}

/** Answers as servers do; `onPlay` decides what is played. */
export function serving(onPlay: (peer: PlayPeer, command: Command) => void): PlayScript {
  return (command, peer) => {
    if (command.name === 'connect') {
      peer.result(command, { code: 'NetConnection.Connect.Success', level: 'status' })
    } else if (command.name === 'createStream') {
      peer.result(command, 1)
    } else if (command.name === 'play') {
      onPlay(peer, command)
    }
  }
}

export async function startPlayServer(script: PlayScript) {
  const peers = new Recorder<PlayPeer>()
  const server = createServer((socket) => peers.push(new PlayPeer(socket, script)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  untilTestEnds({
    [Symbol.asyncDispose]: async () => {
      for (const { socket } of peers.items) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
  return { port: (server.address() as AddressInfo).port, peers }
}

const GENEROUS = { maxMessageBytes: 65_536, maxPendingBytes: 1 << 20, maxChunkStreams: 64 }
