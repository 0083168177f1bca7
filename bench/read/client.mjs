// client.mjs PORT < PATHS: gets all paths over four connections, one answer after the other on each, and
// throws the bytes away. Prints how many bodies' bytes there were.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const CONNECTIONS = 4
const port = Number(process.argv[2])
const paths = readFileSync(0, 'utf8').split('\n')
let total = 0
await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => getEveryFourth(i)))
console.log(total)

function getEveryFourth(first) {
  return new Promise((resolve, reject) => {
    let at = first
    let left = 0
    const next = () => {
      if (at >= paths.length) {
        socket.destroy()
        resolve()
        return
      }
      socket.write(`GET ${paths[at]} HTTP/1.1\r\nHost: bench\r\n\r\n`)
      at += CONNECTIONS
    }
    const take = (length, buffer) => {
      if (left === 0) left = bodyLength(buffer.toString('latin1', 0, Math.min(length, 2000)))
      left -= length
      if (left === 0) next()
      return true
    }
    const onread = { buffer: Buffer.allocUnsafe(256 * 1024), callback: take }
    const socket = connect({ port, host: '127.0.0.1', onread })
    socket.on('connect', next).on('error', reject)
  })
}

/** Bytes of the answer, its head included. */
function bodyLength(head) {
  const end = head.indexOf('\r\n\r\n')
  if (!head.startsWith('HTTP/1.1 200') || end < 0) throw new Error(head)
  const length = Number(/content-length: *([0-9]+)/i.exec(head)[1])
  total += length
  return end + 4 + length
}
