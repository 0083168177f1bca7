// The physical limit: the highest key that is not above another one, straight from LevelDB.
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { ClassicLevel } from 'classic-level'
import { FRAGMENTS_PER_CHUNK, randomNumbers, STREAM } from './fill.mjs'
import { timesOf } from './times.mjs'

const directory = process.argv[2]
const { chunks, fragments } = JSON.parse(readFileSync(join(directory, 'plan.json'), 'utf8'))
const db = new ClassicLevel(join(directory, 'meta'), { valueEncoding: 'json' })
await db.open()
const prefix = ['archive', 'chunk', STREAM].map((text) => `s${text}\u0000`).join('')
const random = randomNumbers(99)
const times = await timesOf(fragments, async () => {
  const counter = 1 + random(chunks) * FRAGMENTS_PER_CHUNK + random(FRAGMENTS_PER_CHUNK)
  const lte = `${prefix}n${String(counter).padStart(16, '0')}\u0000`
  let found = null
  for await (const [, value] of db.iterator({ gte: prefix, lte, reverse: true, limit: 1 })) {
    found = value
  }
  if (counter - found.firstCounter >= FRAGMENTS_PER_CHUNK) throw new Error('found another chunk')
})
console.log(JSON.stringify(times))
await db.close()
