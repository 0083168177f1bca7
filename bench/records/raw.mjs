// raw.mjs FOLDER SHARDS BATCH SECONDS: the same records into as many logs, without all that is above.
import { join } from 'node:path'
import { openSegmentLog } from '../../dist/datastream/index.js'
import { during } from './measure.mjs'

const [directory, ...numbers] = process.argv.slice(2)
const [shards, batch, seconds] = numbers.map(Number)
const logs = await Promise.all(
  Array.from({ length: shards }, (_, i) => openSegmentLog(join(directory, String(i)))),
)
const data = Buffer.alloc(1000, 'x')
const put = async () => {
  const shares = logs.map(() => [])
  for (let i = 0; i < batch; i++) {
    const share = batch < logs.length ? Math.floor(Math.random() * logs.length) : i % logs.length
    shares[share].push({ key: `key ${i}`, data, arrivedAt: Date.now() })
  }
  await Promise.all(shares.map((share, i) => share.length > 0 && logs[i].append(share)))
}
const loops = batch === 1 ? 64 : 8
await during(0.5, loops, put)
const { calls, wallSeconds } = await during(seconds, loops, put)
console.log(JSON.stringify({ perSecond: (calls * batch) / wallSeconds }))
process.exit(0)
