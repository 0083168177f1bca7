// floor.mjs PORT FOLDER: the least that taking streams can cost in Node: what comes on a socket is
// appended to a file, and nothing is looked at.
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

const [port, folder] = process.argv.slice(2)
let files = 0
createServer((socket) => {
  socket.on('error', () => undefined)
  socket.pipe(createWriteStream(join(folder, `${files++}.bin`)))
}).listen(Number(port), '127.0.0.1')
