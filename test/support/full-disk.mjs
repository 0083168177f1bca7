// full-disk.mjs FOLDER: a MetaStore on a disk that gets full and free again, and is then opened while
// it is full. Needs a small disk.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const [folder] = process.argv.slice(2)
const open = () => openLevelMetaStore(join(folder, 'meta'), { reserveBytes: 8 * 1024 * 1024 })

const first = await open()
const value = Array.from({ length: 20_000 }, () => Math.random())
for (let i = 0; i < 8; i++) await first.commit({ puts: [{ key: ['k', i], value }] })
fillDisk()
const refused = []
for (let i = 0; i < 3; i++) {
  refused.push(
    await first.commit({ puts: [{ key: ['late', i], value }] }).catch(({ code }) => code),
  )
}
rmSync(join(folder, 'filler'))
for (let i = 0; i < 3; i++) await first.commit({ puts: [{ key: ['resumed', i], value: i }] })
await first[Symbol.asyncDispose]()
fillDisk()

const second = await open()
const kept = [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => second.get(['k', i])?.length === value.length)
const resumed = [0, 1, 2].filter((i) => second.get(['resumed', i]) === i)
const commits = await second.commit({ puts: [{ key: ['instance'], value: 'x'.repeat(100_000) }] })
await second[Symbol.asyncDispose]()
console.log(JSON.stringify({ refused, kept: kept.length, resumed: resumed.length, commits }))

function fillDisk() {
  const filler = openSync(join(folder, 'filler'), 'a')
  try {
    for (const size of [65_536, 4_096, 1]) fillWith(filler, Buffer.alloc(size))
  } finally {
    closeSync(filler)
  }
}

function fillWith(filler, piece) {
  try {
    for (;;) writeSync(filler, piece)
  } catch (error) {
    if (error.code !== 'ENOSPC') throw error
  }
}
