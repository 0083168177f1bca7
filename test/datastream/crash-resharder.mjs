// Puts numbered records of a few keys while it splits and merges, until it is killed; says on standard
// output what was acknowledged: one line "<key> <number>" per record. Runs the compiled code.
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { openDataStreams } from '../../dist/datastream/index.js'
import { createEvents } from '../../dist/observe/events.js'
import { silentLog } from '../../dist/observe/log.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { systemClock } from '../../dist/platform/clock.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const [directory, first, seed] = process.argv.slice(2)
const metrics = createMetrics()
const meta = await openLevelMetaStore(join(directory, 'meta'))
const streams = await openDataStreams({
  ...{ directory: join(directory, 'streams'), meta, clock: systemClock, metrics, log: silentLog },
  events: createEvents(silentLog, metrics),
})
if (!streams.list().includes('s')) await streams.create({ name: 's', shardCount: 2 })

async function produce(key) {
  for (let number = Number(first); ; number++) {
    await streams.put('s', [{ data: Buffer.from(String(number)), partitionKey: key }])
    writeSync(1, `${key} ${number}\n`)
  }
}

async function reshard() {
  const counts = [3, 2, 4, 5, 3, 2]
  for (let i = Number(seed); ; i++) await streams.scale('s', counts[i % counts.length])
}

writeSync(1, 'open\n')
await Promise.all([...'abcdef'].map(produce).concat(reshard()))
