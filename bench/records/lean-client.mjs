// A client that costs next to nothing, so that it is the service that is measured: requests that are
// built and signed once and sent again and again over HTTP/1.1 connections, answers of which only
// the length is read.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { signRequest } from '../../dist/platform/sigv4/sign-request.js'

export const BENCH_KEY = {
  accessKeyId: 'AKIDBENCHBENCHBENCH1',
  secretAccessKey: 'secret of the benchmark',
}

/** The bytes of a signed request of JSON 1.1, good for 15 minutes. */
export function signedRequest(port, operation, input) {
  const body = Buffer.from(JSON.stringify(input))
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    host: `127.0.0.1:${port}`,
    'x-amz-target': `Kinesis_20131202.${operation}`,
  }
  const signature = signRequest({ method: 'POST', target: '/', headers }, body, {
    ...{ key: BENCH_KEY, region: 'us-east-1', service: 'kinesis', now: new Date() },
  })
  const all = { ...headers, ...signature, 'content-length': body.length }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}\r\n`), body])
}

const HEAD_END = Buffer.from('\r\n\r\n')

/** One keep-alive connection; requests may be pipelined. `send` resolves with the answer's body. */
export function leanConnection(port) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const waiting = []
  let chunks = []
  let held = 0
  let head = null // of the answer that is being received: {status, bodyAt, end}
  socket.on('data', (chunk) => {
    chunks.push(chunk)
    held += chunk.length
    for (;;) {
      if (head === null) {
        if (chunks.length > 1) chunks = [Buffer.concat(chunks)]
        const at = held === 0 ? -1 : chunks[0].indexOf(HEAD_END)
        if (at < 0) return
        const text = chunks[0].latin1Slice(0, at)
        const length = Number(/content-length: (\d+)/i.exec(text)[1])
        head = { status: Number(text.slice(9, 12)), bodyAt: at + 4, end: at + 4 + length }
      }
      if (held < head.end) return
      const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
      const body = bytes.subarray(head.bodyAt, head.end)
      const { resolve, reject } = waiting.shift()
      if (head.status === 200) resolve(body)
      else reject(new Error(`${head.status} ${body}`))
      chunks = bytes.length > head.end ? [bytes.subarray(head.end)] : []
      held = bytes.length - head.end
      head = null
    }
  })
  const fail = (error) => {
    for (const { reject } of waiting.splice(0)) reject(error ?? new Error('the connection ended'))
  }
  socket.on('error', fail)
  socket.on('close', () => fail())
  return {
    socket,
    send: (bytes) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        socket.write(bytes)
      }),
  }
}

/** Value of a member that holds a string without escapes; the last one in the answer. */
export function lastString(body, member) {
  const at = body.lastIndexOf(`"${member}":"`)
  if (at < 0) return null
  const from = at + member.length + 4
  return body.latin1Slice(from, body.indexOf(0x22, from))
}

/** Makes the stream `s`, on any server of the API, and waits until it is there. */
export async function createStream(port, shards) {
  const { send, socket } = leanConnection(port)
  const call = (operation, input) => send(signedRequest(port, operation, input))
  await call('CreateStream', { StreamName: 's', ShardCount: shards })
  while (
    lastString(await call('DescribeStream', { StreamName: 's' }), 'StreamStatus') !== 'ACTIVE'
  ) {
    await delay(20)
  }
  socket.destroy()
}

const CONNECTIONS = 8

/** Sends the same signed requests again and again. */
export function leanPutter(port, requests) {
  const bytes = requests.map(({ operation, input }) => signedRequest(port, operation, input))
  const connections = Array.from({ length: CONNECTIONS }, () => leanConnection(port))
  return (loop, i) => connections[loop % CONNECTIONS].send(bytes[i % bytes.length])
}
