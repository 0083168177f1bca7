// serve.mjs hls|bare FOLDER: every fragment over HTTP on loopback, to four connections of a client in a
// process of its own: as HLS media segments, or the slices as they are, by a bare server of Node.
// Prints {gbPerSecond, gbPerCpuSecond} of the server.
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createFastify } from '../../dist/api/fastify.js'
import { addHlsRoutes } from '../../dist/api/playback/hls-routes.js'
import { toStreamId } from '../../dist/domain/stream.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { BytePool } from '../../dist/platform/byte-pool.js'
import { systemClock } from '../../dist/platform/clock.js'
import { createHls } from '../../dist/playback/index.js'
import { openMedia, sliceReader } from './media.mjs'

/** So many that compiling the code for good does not count. */
const PASSES = 8

const [way, directory] = process.argv.slice(2)
const media = await openMedia(directory)
const slices = sliceReader(directory)
const server = way === 'hls' ? await serveHls() : await serveSlices()
const paths = media.fragments.map(
  ({ streamId, fragmentNumber }) =>
    `/streams/${streamId.split('~')[0]}/hls/segment-${fragmentNumber}.m4s`,
)
await fetchAll() // code is compiled, memory is there

const from = performance.now()
const cpu = process.cpuUsage()
let total = 0
for (let i = 0; i < PASSES; i++) total += await fetchAll()
const { user, system } = process.cpuUsage(cpu)
console.log(
  JSON.stringify({
    gbPerSecond: total / 1e6 / (performance.now() - from),
    gbPerCpuSecond: total / 1e3 / (user + system),
  }),
)
server.close()
await slices.close()
await media.close()

async function serveHls() {
  const fastify = createFastify()
  const hls = createHls({ archive: media.archive, clock: systemClock })
  const registry = { get: (name) => ({ name, streamId: toStreamId(name, 1) }) }
  addHlsRoutes(fastify, { hls, registry, metrics: createMetrics() })
  await fastify.listen({ port: 0, host: '127.0.0.1' })
  return fastify.server
}

async function serveSlices() {
  const byNumber = new Map(media.fragments.map((each) => [each.fragmentNumber, each]))
  const memory = new BytePool(32 * 1024 * 1024)
  const bare = createServer(async (request, response) => {
    const number = /segment-([0-9]+)/.exec(request.url)[1]
    const bytes = await slices.read(byNumber.get(number), memory)
    response.once('finish', () => memory.giveBack(bytes))
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  })
  await new Promise((resolve) => bare.listen(0, '127.0.0.1', resolve))
  return bare
}

async function fetchAll() {
  const client = fileURLToPath(new URL('client.mjs', import.meta.url))
  const fetching = promisify(execFile)(process.execPath, [client, String(server.address().port)])
  fetching.child.stdin.end(paths.join('\n'))
  return Number((await fetching).stdout)
}
