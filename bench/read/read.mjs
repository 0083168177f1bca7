// read.mjs archive|slices FOLDER: reads every fragment of the archive, into memory that is used again.
// Prints {gbPerSecond, gbPerCpuSecond, p99Ms}.
import { BytePool } from '../../dist/platform/byte-pool.js'
import { openMedia, sliceReader } from './media.mjs'

const [way, directory] = process.argv.slice(2)
const media = await openMedia(directory)
const slices = sliceReader(directory)
const memory = new BytePool(16 * 1024 * 1024)
const read =
  way === 'archive'
    ? async (fragment) => (await media.archive.read(fragment, memory)).bytes
    : slices.read
for (const fragment of media.fragments) memory.giveBack(await read(fragment, memory)) // compiles

const waited = []
const from = performance.now()
const cpu = process.cpuUsage()
let total = 0
for (const fragment of media.fragments) {
  const begun = performance.now()
  const bytes = await read(fragment, memory)
  waited.push(performance.now() - begun)
  total += bytes.length
  memory.giveBack(bytes)
}
const { user, system } = process.cpuUsage(cpu)
waited.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    gbPerSecond: total / 1e6 / (performance.now() - from),
    gbPerCpuSecond: total / 1e3 / (user + system),
    p99Ms: waited[Math.floor(waited.length * 0.99)],
  }),
)
await slices.close()
await media.close()
