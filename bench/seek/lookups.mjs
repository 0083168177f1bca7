// Opens the archive in its own process, looks up what the plan says, and prints what it took.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openArchive } from '../../dist/archive/index.js'
import { silentLog } from '../../dist/observe/log.js'
import { createEvents } from '../../dist/observe/events.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'
import { endOf, STREAM } from './fill.mjs'
import { timesOf } from './times.mjs'

const directory = process.argv[2]
const plan = JSON.parse(readFileSync(join(directory, 'plan.json'), 'utf8'))
const metrics = createMetrics()
const now = endOf(plan.chunks)
const clock = { now: () => now, sleep: () => new Promise(() => undefined) }

const startedAt = performance.now()
const meta = await openLevelMetaStore(join(directory, 'meta'))
const archive = await openArchive(
  {
    ...{ directory: join(directory, 'archive'), meta, clock, metrics, log: silentLog },
    events: createEvents(silentLog, metrics),
  },
  {
    retentionMsOf: () => 200 * 366 * 86_400_000,
    ...{ nameOf: () => 'bench', maxQueuedBytes: 1 << 20, maxChunkBytes: 1 << 30 },
  },
)
const startMs = performance.now() - startedAt
const opened = readMemory()

const expiryMs = await timeOf(() => archive.expire())
const usageMs = await timeOf(() => archive.usage(STREAM))

const lookUps = {}
for (const by of ['producer', 'server']) {
  lookUps[`by ${by} time`] = await timesOf(plan.fragments, async (wanted) => {
    const from = wanted[`${by}Timestamp`] + 500
    const [found] = await archive.list(STREAM, { by, from, to: from + 1, limit: 1 })
    check(found, wanted)
  })
}
lookUps['by number'] = await timesOf(plan.fragments, async (wanted) => {
  check(await archive.find(STREAM, wanted.fragmentNumber), wanted)
})
const coverage = await timesOf(plan.days, async ({ from, to }) => {
  const { spans, gaps } = await archive.coverage(STREAM, { by: 'producer', from, to })
  if (spans.length !== 1 || gaps.length !== 0) throw new Error('the day is not covered')
})
const after = readMemory()
console.log(JSON.stringify({ startMs, expiryMs, usageMs, opened, lookUps, coverage, after }))
process.exit(0) // the clock stands still: nothing here ever stops by itself

function check(found, wanted) {
  if (found?.fragmentNumber !== wanted.fragmentNumber) throw new Error('found another fragment')
}

async function timeOf(action) {
  const from = performance.now()
  await action()
  return performance.now() - from
}

/** Own memory is what only this process has; the rest of what is resident are mapped files. */
function readMemory() {
  globalThis.gc()
  const status = readFileSync('/proc/self/status', 'utf8')
  const megabytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024
  return { ownMB: megabytes('RssAnon'), residentMB: megabytes('VmRSS') }
}
