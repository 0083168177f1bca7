// What slices out of the archive cost: every fragment through archive.read, against plain reads of the
// same slices in the same kind of process, and against cat of the same files. All from the page cache.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needBuild, runChild } from '../archive/child.mjs'
import { median } from '../ingest/server.mjs'

const BUDGET_GB_PER_S = 1

export async function run({ quick, note }) {
  needBuild()
  const rounds = quick ? 3 : 9
  const fragments = quick ? 400 : 1600
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  try {
    note(`writing ${fragments} fragments of 0.5 MB`)
    await runChild('../archive/write.mjs', 'archive', directory, 8, fragments / 8)
    const found = { archive: [], slices: [], cat: [] }
    for (let round = 0; round < rounds; round++) {
      note(`round ${round + 1}/${rounds}`)
      found.cat.push(cat(directory))
      for (const way of ['slices', 'archive']) {
        found[way].push(await runChild('../read/read.mjs', way, directory))
      }
    }
    return toRows(found)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function cat(directory) {
  const names = readdirSync(join(directory, 'media'), { recursive: true })
  const paths = names
    .filter((name) => name.endsWith('.mkv'))
    .map((n) => join(directory, 'media', n))
  const bytes = paths.reduce((sum, path) => sum + statSync(path).size, 0)
  const from = performance.now()
  execFileSync('cat', paths, { stdio: ['ignore', 'ignore', 'inherit'] })
  return { gbPerSecond: bytes / 1e6 / (performance.now() - from) }
}

function toRows(found) {
  const of = (way, key) => median(found[way].map((sample) => sample[key]))
  const kept = of('archive', 'gbPerCpuSecond') >= BUDGET_GB_PER_S ? 'kept' : 'MISSED'
  const compared = (key, name, unit, peers) => [
    { name: `${name}: archive.read`, value: of('archive', key), unit },
    ...peers.map(([way, peer]) => ({
      ...{ name: `${name}: ${peer}`, value: of(way, key), unit, peer },
      ratio: of('archive', key) / of(way, key),
    })),
  ]
  const slices = ['slices', 'plain reads of the same slices']
  return [
    ...compared('gbPerSecond', 'one after the other', 'GB/s', [
      slices,
      ['cat', 'cat of the files'],
    ]),
    ...compared('gbPerCpuSecond', `per core (budget ${BUDGET_GB_PER_S}: ${kept})`, 'GB/s', [
      slices,
    ]),
    ...compared('p99Ms', 'a fragment, p99', 'ms', [slices]),
  ]
}
