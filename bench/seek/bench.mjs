// What it takes to find a fragment in ten years of one stream: random look-ups by both clocks and by
// number through the real archive, its memory and its start-up, against an archive of one month, which
// is the least of which the caches do not hold everything, and
// against raw floor look-ups in the same LevelDB, which no catalogue in it can beat. The catalogue is
// filled by the archive's own code; of the media there are only the sidecars that are looked into.
// BENCH_SEEK_CHUNKS=5000000 adds an archive of that many, which takes eight minutes to fill.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHUNKS_PER_DAY, fillArchive } from './fill.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const BUDGET_MS = 2

export async function run({ quick, note }) {
  if (!existsSync(join(root, 'dist/archive/index.js')))
    throw new Error('build first: npm run build')
  const asked = Number(process.env.BENCH_SEEK_CHUNKS ?? 0)
  const archives = [
    { title: '1 month', chunks: 30 * CHUNKS_PER_DAY },
    ...(quick
      ? [{ title: '1 year', chunks: 365 * CHUNKS_PER_DAY }]
      : [{ title: '10 years', chunks: 3650 * CHUNKS_PER_DAY }]),
    ...(asked > 0 ? [{ title: `${asked} chunks`, chunks: asked }] : []),
  ]
  const lookUps = quick ? 1500 : 6000
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  try {
    const rows = []
    let month = null
    for (const { title, chunks } of archives) {
      note(`filling an archive of ${title}: ${chunks} chunks`)
      const place = join(directory, String(chunks))
      await fillArchive(place, { chunks, lookUps })
      note(`${lookUps} look-ups of each kind in ${title}`)
      const found = await inProcess('lookups.mjs', [place])
      const raw = await inProcess('raw.mjs', [place])
      rows.push(...toRows(title, found, raw, month))
      month ??= found
      rmSync(place, { recursive: true, force: true })
    }
    return rows
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function toRows(title, found, raw, month) {
  const of = (name, value, unit, peer, reference) => ({
    ...{ name: `${title}: ${name}`, value, unit },
    ...(reference === undefined ? {} : { peer, ratio: value / reference }),
  })
  const floor = `raw LevelDB floor, ${raw.p99Ms.toFixed(3)} ms`
  return [
    of('raw LevelDB floor look-up, p50', raw.p50Ms, 'ms'),
    of('raw LevelDB floor look-up, p99', raw.p99Ms, 'ms'),
    ...Object.entries(found.lookUps).flatMap(([kind, { p50Ms, p99Ms }]) => [
      of(`${kind}, p50`, p50Ms, 'ms', `raw LevelDB floor, ${raw.p50Ms.toFixed(3)} ms`, raw.p50Ms),
      of(
        `${kind}, p99 (budget ${BUDGET_MS} ms: ${p99Ms < BUDGET_MS ? 'kept' : 'MISSED'})`,
        ...[p99Ms, 'ms', floor, raw.p99Ms],
      ),
    ]),
    of('coverage of a day, p50', found.coverage.p50Ms, 'ms', 'of one month', month?.coverage.p50Ms),
    of('coverage of a day, p99', found.coverage.p99Ms, 'ms', 'of one month', month?.coverage.p99Ms),
    of('opening the archive', found.startMs, 'ms', 'of one month', month?.startMs),
    of('a round of expiry', found.expiryMs, 'ms', 'of one month', month?.expiryMs),
    of('usage', found.usageMs, 'ms', 'of one month', month?.usageMs),
    of('memory of its own, opened', found.opened.ownMB, 'MB', 'of one month', month?.opened.ownMB),
    of('memory of its own, after', found.after.ownMB, 'MB', 'of one month', month?.after.ownMB),
    of('resident, mapped files counted', found.after.residentMB, 'MB', ...residentOf(month)),
  ]
}

function residentOf(month) {
  return ['of one month', month?.after.residentMB]
}

/** A process of its own, so that its memory is the archive's. */
async function inProcess(script, args) {
  const child = spawn(
    process.execPath,
    ['--expose-gc', fileURLToPath(new URL(script, import.meta.url)), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, UV_THREADPOOL_SIZE: '16' } },
  )
  let text = ''
  for await (const part of child.stdout) text += part
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)))
  if (status !== 0) throw new Error(`${script} ended with ${status}`)
  return JSON.parse(text)
}
