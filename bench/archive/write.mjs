// write.mjs archive|raw FOLDER STREAMS FRAGMENTS [EVERY_MS]: each stream writes its fragments one after
// the other, the next when the last is on disk, or one every so many milliseconds, the streams evenly
// spread. Prints {perSecond, p50Ms, p99Ms, cpuMs}.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { toStreamId } from '../../dist/domain/stream.js'
import { openAt } from './open.mjs'
import { partsOf, writeTo } from './media.mjs'

const [way, directory, streams, fragments, everyMs = 0] = process.argv.slice(2)
const start = way === 'archive' ? await archiveStreams() : await rawStreams()
const waited = []
await eachStream(Math.max(2, Math.ceil(600 / streams)), 0) // files are created, code is compiled
waited.length = 0
const before = { at: performance.now(), cpu: process.cpuUsage() }
await eachStream(Number(fragments), Number(everyMs))
const { user, system } = process.cpuUsage(before.cpu)
const total = Number(streams) * Number(fragments)
waited.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    perSecond: total / ((performance.now() - before.at) / 1000),
    p50Ms: waited[Math.floor(waited.length * 0.5)],
    p99Ms: waited[Math.floor(waited.length * 0.99)],
    cpuMs: (user + system) / 1000 / total,
  }),
)
process.exit(0) // what is left to finish is not measured

async function eachStream(count, paceMs) {
  const begun = performance.now()
  await Promise.all(
    start.map(async (write, stream) => {
      for (let i = 0; i < count; i++) {
        if (paceMs > 0) {
          const due = begun + (i + stream / start.length) * paceMs
          await delay(Math.max(due - performance.now(), 0))
        }
        const from = performance.now()
        await write()
        waited.push(performance.now() - from)
      }
    }),
  )
}

async function archiveStreams() {
  const { archive } = await openAt(directory)
  const indexes = Array.from({ length: Number(streams) }, (_, i) => i)
  return Promise.all(
    indexes.map(async (i) => {
      const writer = await archive.openWriter(toStreamId(`cam-${i}`, 1))
      return () => writeTo(writer, Date.now())
    }),
  )
}

async function rawStreams() {
  const indexes = Array.from({ length: Number(streams) }, (_, i) => i)
  return Promise.all(
    indexes.map(async (i) => {
      const file = await open(join(directory, `${i}.bin`), 'wx')
      return async () => {
        await file.writev(partsOf(Date.now()))
        await file.datasync()
      }
    }),
  )
}
