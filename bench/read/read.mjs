// read.mjs archive|slices FOLDER: reads every fragment of the archive. Prints {gbPerSecond,
// gbPerCpuSecond, p99Ms}.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { toChunkPath } from '../../dist/archive/chunk-layout.js'
import { toStreamId } from '../../dist/domain/stream.js'
import { openAt } from '../archive/open.mjs'

const [way, directory] = process.argv.slice(2)
const { archive, meta } = await openAt(directory)
const fragments = []
for (let i = 0; i < 8; i++) {
  fragments.push(...(await archive.after(toStreamId(`cam-${i}`, 1), null, 1e6)))
}
const files = new Map()
const read = way === 'archive' ? (fragment) => archive.read(fragment) : readSlice
for (const fragment of fragments.slice(0, 20)) await read(fragment)

const waited = []
const from = performance.now()
const cpu = process.cpuUsage()
let bytes = 0
for (const fragment of fragments) {
  const begun = performance.now()
  bytes += (await read(fragment)).bytes.length
  waited.push(performance.now() - begun)
}
const { user, system } = process.cpuUsage(cpu)
waited.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    gbPerSecond: bytes / 1e6 / (performance.now() - from),
    gbPerCpuSecond: bytes / 1e3 / (user + system),
    p99Ms: waited[Math.floor(waited.length * 0.99)],
  }),
)
for (const file of files.values()) await file.close()
await archive[Symbol.asyncDispose]()
await meta[Symbol.asyncDispose]()

async function readSlice({ streamId, place, sizeBytes }) {
  const openedAt = Number.parseInt(place.chunkId.split('-')[1], 16)
  const path = join(directory, 'media', toChunkPath(streamId, place.chunkId, openedAt))
  if (!files.has(path)) files.set(path, await open(path, 'r'))
  const buffer = Buffer.allocUnsafeSlow(sizeBytes)
  await files.get(path).read(buffer, 0, sizeBytes, place.offset)
  return { bytes: buffer }
}
