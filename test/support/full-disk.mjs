// full-disk.mjs FOLDER: opens a MetaStore there, fills the disk, opens it again. Needs a small disk.
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const [folder] = process.argv.slice(2)
const open = () => openLevelMetaStore(join(folder, 'meta'), { reserveBytes: 8 * 1024 * 1024 })

const before = await open()
const value = Array.from({ length: 20_000 }, () => Math.random())
for (let i = 0; i < 8; i++) await before.commit({ puts: [{ key: ['k', i], value }] })
fillDisk()
const refused = await before.commit({ puts: [{ key: ['late'], value }] }).catch(({ code }) => code)
await before[Symbol.asyncDispose]()
fillDisk()

const after = await open()
const kept = after.get(['k', 7])?.length === value.length
const commits = await after.commit({ puts: [{ key: ['instance'], value: 'x'.repeat(100_000) }] })
await after[Symbol.asyncDispose]()
console.log(JSON.stringify({ refused, kept, commits }))

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
