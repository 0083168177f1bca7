// client.mjs < {port, readers: [[request, ...], ...], bytes}: each reader sends its requests one after the
// other, round and round, over its own connections, and throws away what comes until it has had so many
// bytes. A request that has no known length is given up behind its limit. Prints the bytes of all.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const { port, readers, bytes } = JSON.parse(readFileSync(0, 'utf8'))
const received = await Promise.all(readers.map(read))
console.log(received.reduce((sum, each) => sum + each, 0))

/** A request: {text, limit}; without a limit the answer says how long it is, and the connection is kept. */
async function read(requests) {
  let total = 0
  for (let i = 0; total < bytes; i++) {
    const { text, limit } = requests[i % requests.length]
    if (limit === undefined) {
      total += await readKept(requests, bytes - total)
      break
    }
    total += await readUpTo(text, Math.min(limit, bytes - total))
  }
  return total
}

function readUpTo(text, limit) {
  return new Promise((resolve, reject) => {
    let had = 0
    let checked = false
    const take = (length, buffer) => {
      if (!checked) {
        checked = true
        const status = buffer.toString('latin1', 9, 12)
        if (status !== '200') reject(new Error(buffer.toString('latin1', 0, length)))
      }
      had += length
      if (had < limit) return true
      socket.destroy()
      resolve(had)
      return false
    }
    const onread = { buffer: Buffer.allocUnsafe(256 * 1024), callback: take }
    const socket = connect({ port, host: '127.0.0.1', onread })
    socket.on('connect', () => socket.write(text)).on('error', reject)
    socket.on('close', () => resolve(had))
  })
}

/** One connection; every answer has a Content-Length. */
function readKept(requests, limit) {
  return new Promise((resolve, reject) => {
    let at = 0
    let left = 0
    let had = 0
    const next = () => socket.write(requests[at++ % requests.length].text)
    const take = (length, buffer) => {
      if (left === 0) left = lengthOf(buffer.toString('latin1', 0, Math.min(length, 2000)))
      left -= length
      had += length
      if (left > 0) return true
      if (had < limit) {
        next()
        return true
      }
      socket.destroy()
      resolve(had)
      return false
    }
    const onread = { buffer: Buffer.allocUnsafe(256 * 1024), callback: take }
    const socket = connect({ port, host: '127.0.0.1', onread })
    socket.on('connect', next).on('error', reject)
  })
}

/** Bytes of the answer, its head included. */
function lengthOf(head) {
  const end = head.indexOf('\r\n\r\n')
  if (!head.startsWith('HTTP/1.1 200') || end < 0) throw new Error(head)
  return end + 4 + Number(/content-length: *([0-9]+)/i.exec(head)[1])
}
