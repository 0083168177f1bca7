// relay.mjs PORT: the floor of live delay: what comes on /in goes out on /out, and nothing is kept.
import { createServer } from 'node:http'

const readers = new Set()
createServer((request, response) => {
  response.writeHead(200)
  response.flushHeaders()
  if (request.url !== '/in') {
    readers.add(response)
    response.on('close', () => readers.delete(response))
    return
  }
  request.on('data', (part) => {
    for (const reader of readers) reader.write(part)
  })
  request.on('end', () => response.end())
}).listen(Number(process.argv[2]), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
