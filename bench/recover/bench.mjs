// How long a start takes against the age of the archive: the catalogue of 10, 1,000 and 100,000
// finished chunks, with no chunk open and with 30 that a killed process left. Only the open ones may
// cost anything. The peer is the start with 10 chunks.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needBuild, runChild } from '../archive/child.mjs'
import { median } from '../ingest/server.mjs'

const OPEN = 30
const PEER = '10 chunks'

export async function run({ quick, note }) {
  needBuild()
  const rounds = quick ? 3 : 9
  const rows = []
  const least = new Map()
  for (const chunks of quick ? [10, 1000, 20_000] : [10, 1000, 100_000]) {
    const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
    try {
      note(`filling a catalogue of ${chunks} chunks`)
      await runChild('../recover/fill.mjs', directory, chunks)
      const found = { [OPEN]: [], 0: [] }
      for (let round = 0; round < rounds; round++) {
        note(`${chunks} chunks, round ${round + 1}/${rounds}`)
        await runChild('../recover/leave-open.mjs', directory, OPEN)
        found[OPEN].push(await runChild('../recover/start.mjs', directory))
        found[0].push(await runChild('../recover/start.mjs', directory))
      }
      for (const open of [0, OPEN]) rows.push(...toRows(chunks, open, found[open], least))
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  return rows
}

function toRows(chunks, open, samples, least) {
  return [
    ['archiveMs', 'opening the archive', 'ms'],
    ['cpuMs', 'the CPU that takes', 'ms'],
    ['metaMs', 'opening the MetaStore', 'ms'],
    ['residentMB', 'resident memory then', 'MB'],
  ].map(([key, what, unit]) => {
    const value = median(samples.map((sample) => sample[key]))
    const name = `${chunks} chunks, ${open} open: ${what}`
    const first = least.get(`${key} ${open}`)
    if (first === undefined) least.set(`${key} ${open}`, value)
    return first === undefined
      ? { name, value, unit }
      : { name, value, unit, peer: PEER, ratio: value / first }
  })
}
