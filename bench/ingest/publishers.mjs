// publishers.mjs FLV COUNT URL: publishes the tags of an FLV file COUNT times at once over RTMP in real
// time, in a loop, until killed (at most five minutes). '#' in the URL becomes the publisher's number.
// A tcp:// URL gets the same bytes without a handshake: for the cost of merely receiving them.
// One process and no FFmpeg, so that a hundred publishers cost less than the server that is measured.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { FlvReader } from '../../dist/ingest/flv/flv-reader.js'
import { toChunks } from '../../dist/ingest/rtmp/chunk-writer.js'
import { setChunkSize, toCommand } from '../../dist/ingest/rtmp/commands.js'
import { ClientHandshake, HANDSHAKE_BYTES } from '../../dist/ingest/rtmp/handshake.js'

const CHUNK_BYTES = 60_000 // as FFmpeg has it
const TYPES = { audio: 8, video: 9, script: 18 }
const GOP_MS = 2_000
const HEADER_BYTES = 12
const TICK_MS = 5

const [path, count, url] = process.argv.slice(2)
const tags = readTags(path)
const media = tags.filter(({ isConfig }) => !isConfig)
const durationMs = media.at(-1).timestamp + 40

const publishers = await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    await delay((i * GOP_MS) / Number(count)) // key frames are spread over a GOP
    const socket = await open(url.replace('#', i))
    socket.on('error', (error) => {
      console.error(`publisher ${i}: ${error.message}`)
      process.exit(1)
    })
    for (const tag of tags.filter(({ isConfig }) => isConfig)) socket.write(toMessage(tag, 0))
    return { socket, startedAt: performance.now(), next: 0, round: 0 }
  }),
)
setTimeout(() => process.exit(0), 300_000).unref()
setInterval(() => {
  const now = performance.now()
  for (const publisher of publishers) {
    for (;;) {
      const tag = media[publisher.next]
      const timestamp = publisher.round * durationMs + tag.timestamp
      if (publisher.startedAt + timestamp > now) break
      // The header and the rest apart, as FFmpeg writes them, and most of what is built on it.
      const bytes = toMessage(tag, timestamp)
      publisher.socket.write(bytes.subarray(0, HEADER_BYTES))
      publisher.socket.write(bytes.subarray(HEADER_BYTES))
      publisher.next++
      if (publisher.next < media.length) continue
      publisher.next = 0
      publisher.round++
    }
  }
}, TICK_MS)

function readTags(path) {
  const reader = new FlvReader(1 << 24)
  reader.push(readFileSync(path))
  const tags = []
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    const isHeader = tag.kind !== 'script' && tag.body[1] === 0 && isCoded(tag)
    tags.push({ ...tag, isConfig: tag.kind === 'script' || isHeader })
  }
  return tags
}

/** AVC and AAC: whose second byte says whether it is their configuration. */
function isCoded({ kind, body }) {
  return kind === 'video' ? (body[0] & 15) === 7 : body[0] >> 4 === 10
}

function toMessage({ kind, body }, timestamp) {
  const payload = kind === 'script' ? withSetDataFrame(body) : body
  const bytes = toChunks(
    { chunkStreamId: 4, typeId: TYPES[kind], messageStreamId: 1, payload },
    CHUNK_BYTES,
  )
  bytes[1] = timestamp >> 16
  bytes[2] = timestamp >> 8
  bytes[3] = timestamp
  return bytes
}

function withSetDataFrame(body) {
  return Buffer.concat([Buffer.from([2, 0, 13]), Buffer.from('@setDataFrame'), body])
}

async function open(address) {
  const { protocol, hostname, port, pathname, search } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  if (protocol === 'tcp:') return socket
  const handshake = new ClientHandshake(randomBytes(2 * HANDSHAKE_BYTES))
  socket.write(handshake.greeting)
  let greeting = Buffer.alloc(0)
  for (let done = false; !done;) {
    const [bytes] = await once(socket, 'data')
    greeting = Buffer.concat([greeting, bytes])
    for (let used = 1; used > 0 && !done;) {
      const step = handshake.step(greeting)
      used = step.consumed
      done = step.done
      greeting = greeting.subarray(used)
      if (step.reply !== null) socket.write(step.reply)
    }
  }
  const [app, stream] = pathname.slice(1).split('/')
  const send = (message, chunkBytes) => socket.write(toChunks(message, chunkBytes))
  send(setChunkSize(CHUNK_BYTES), 128)
  const tcUrl = `${protocol}//${hostname}:${port}/${app}`
  send(toCommand(0, 'connect', 1, { app, tcUrl, type: 'nonprivate' }), CHUNK_BYTES)
  send(toCommand(0, 'createStream', 2, null), CHUNK_BYTES)
  send(toCommand(1, 'publish', 3, null, stream + search, 'live'), CHUNK_BYTES)
  let answers = ''
  while (!answers.includes('NetStream.Publish.Start')) {
    const [bytes] = await once(socket, 'data')
    answers += bytes.toString('latin1')
    if (answers.includes('NetStream.Publish.')) break
  }
  if (!answers.includes('NetStream.Publish.Start')) throw new Error(`${address} is refused`)
  socket.resume()
  return socket
}
