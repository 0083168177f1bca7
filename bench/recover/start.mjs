// start.mjs FOLDER: prints {metaMs, archiveMs, cpuMs, residentMB} of a start.
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'
import { openWith } from '../archive/open.mjs'
import { join } from 'node:path'

const [directory] = process.argv.slice(2)
const begun = performance.now()
const meta = await openLevelMetaStore(join(directory, 'meta'))
const metaOpen = performance.now()
const cpu = process.cpuUsage()
const archive = await openWith(meta, directory)
const open = performance.now()
const { user, system } = process.cpuUsage(cpu)
const residentMB = process.memoryUsage().rss / 1e6
console.log(
  JSON.stringify({
    ...{ metaMs: metaOpen - begun, archiveMs: open - metaOpen, residentMB },
    cpuMs: (user + system) / 1000,
  }),
)
await archive[Symbol.asyncDispose]()
await meta[Symbol.asyncDispose]()
