// What the archive's write path costs: N streams write fragments through openArchive as fast as these
// are acknowledged, against raw appends of the same bytes, one writev and one fdatasync per fragment.
// Each runs in a process of its own, in turns, on the same disk.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChild, needBuild } from './child.mjs'
import { median } from '../ingest/server.mjs'

const BUDGET = 0.8

export async function run({ quick, note }) {
  needBuild()
  const rows = []
  const cases = [
    ...(quick ? [1, 30] : [1, 30, 100]).map((streams) => {
      const fragments = Math.ceil((quick ? 600 : 3000) / streams)
      return { streams, fragments, everyMs: 0, rounds: quick ? 3 : 7 }
    }),
    { streams: 100, fragments: quick ? 3 : 10, everyMs: 2000, rounds: quick ? 1 : 3 },
  ]
  for (const { streams, fragments, everyMs, rounds } of cases) {
    const pace = everyMs === 0 ? 'as fast as they can' : 'in real time'
    const found = { archive: [], raw: [] }
    for (let round = 0; round < rounds; round++) {
      note(`${streams} streams of ${fragments} fragments ${pace}, round ${round + 1}/${rounds}`)
      for (const way of ['raw', 'archive']) {
        const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
        try {
          found[way].push(
            await runChild('../archive/write.mjs', way, directory, streams, fragments, everyMs),
          )
        } finally {
          rmSync(directory, { recursive: true, force: true })
        }
      }
    }
    rows.push(...toRows(found, `${streams} stream${streams === 1 ? '' : 's'} ${pace}`, everyMs))
  }
  return rows
}

function toRows({ archive, raw }, title, everyMs) {
  const of = (samples, key) => median(samples.map((sample) => sample[key]))
  // Of each round, so that what the disk does meanwhile hits both alike.
  const ratio = median(archive.map(({ perSecond }, i) => perSecond / raw[i].perSecond))
  const peer = 'writev + fdatasync'
  const compared = (name, key, unit) => [
    { name: `${title}: ${name}`, value: of(archive, key), unit },
    {
      name: `${title}: ${name}, ${peer}`,
      ...{ value: of(raw, key), unit, peer, ratio: of(archive, key) / of(raw, key) },
    },
  ]
  return [
    ...(everyMs > 0
      ? [] // both write what comes
      : [
          { name: `${title}: fragments of 0.5 MB`, value: of(archive, 'perSecond'), unit: '/s' },
          {
            name: `${title}: the same, ${peer} (budget ${BUDGET}: ${ratio >= BUDGET ? 'kept' : 'MISSED'})`,
            ...{ value: of(raw, 'perSecond'), unit: '/s', peer, ratio },
          },
        ]),
    ...compared('end of fragment to PERSISTED, p50', 'p50Ms', 'ms'),
    ...compared('the same, p99', 'p99Ms', 'ms'),
    ...compared('CPU per fragment', 'cpuMs', 'ms'),
  ]
}
