// Appends numbered records to a log until it is killed, and says on standard output what was
// acknowledged: one line "<first index> <first id> <count>" per batch. Runs the compiled code.
import { writeSync } from 'node:fs'
import { openSegmentLog } from '../../dist/datastream/index.js'

const [directory, firstId, seed] = process.argv.slice(2)
const log = await openSegmentLog(directory, { maxSegmentBytes: 64 * 1024, maxSegmentAgeMs: 1e12 })
writeSync(1, `open ${log.nextIndex}\n`)

let id = Number(firstId)
let state = Number(seed)
const random = (below) => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return state % below
}

async function write() {
  for (;;) {
    const count = 1 + random(8)
    const first = id
    id += count
    const batch = Array.from({ length: count }, (_, i) => ({
      key: String(first + i),
      data: Buffer.alloc(random(3000), first + i),
      arrivedAt: Date.now(),
    }))
    const range = await log.append(batch)
    writeSync(1, `${range.first} ${first} ${count}\n`)
  }
}
await Promise.all([write(), write(), write(), write()])
