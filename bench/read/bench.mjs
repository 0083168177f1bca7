// What media out of the archive costs: every fragment through archive.read, against plain reads of the
// same slices in the same kind of process and against cat of the same files; then as HLS segments over
// HTTP, against a bare HTTP server that sends the slices. All from the page cache.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needBuild, runChild } from '../archive/child.mjs'
import { median } from '../ingest/server.mjs'
import { STREAMS } from './media.mjs'

const BUDGET_GB_PER_S = 1

export async function run({ quick, note }) {
  needBuild()
  const rounds = quick ? 3 : 9
  const fragments = quick ? 400 : 1600
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  try {
    note(`writing ${fragments} fragments of 0.5 MB`)
    await runChild('../archive/write.mjs', 'archive', directory, STREAMS, fragments / STREAMS)
    const found = { cat: [], slices: [], archive: [], bare: [], hls: [] }
    for (let round = 0; round < rounds; round++) {
      note(`round ${round + 1}/${rounds}`)
      found.cat.push(cat(directory))
      for (const way of ['slices', 'archive']) {
        found[way].push(await runChild('../read/read.mjs', way, directory))
      }
      for (const way of ['bare', 'hls']) {
        found[way].push(await runChild('../read/serve.mjs', way, directory))
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
  // Of each round, so that what else the machine does meanwhile hits both alike.
  const ratio = (key, way, peer) =>
    median(found[way].map((sample, i) => sample[key] / found[peer][i][key]))
  const compared = (what, key, unit, way, ...peers) => [
    { name: `${what}: ${NAMES[way]}`, value: of(way, key), unit },
    ...peers.map((peer) => ({
      ...{ name: `${what}: ${NAMES[peer]}`, value: of(peer, key), unit, peer: NAMES[peer] },
      ratio: ratio(key, way, peer),
    })),
  ]
  const perCore = 'gbPerCpuSecond'
  const kept = of('hls', perCore) >= BUDGET_GB_PER_S ? 'kept' : 'MISSED'
  return [
    ...compared('one after the other', 'gbPerSecond', 'GB/s', 'archive', 'slices', 'cat'),
    ...compared('per core', perCore, 'GB/s', 'archive', 'slices'),
    ...compared('a fragment, p99', 'p99Ms', 'ms', 'archive', 'slices'),
    ...compared(`per core (budget ${BUDGET_GB_PER_S}: ${kept})`, perCore, 'GB/s', 'hls', 'bare'),
  ]
}

const NAMES = {
  archive: 'archive.read',
  slices: 'plain reads of the same slices',
  cat: 'cat of the files',
  hls: 'HLS over HTTP',
  bare: 'bare HTTP server, same slices',
}
