// npm run bench -- NAME [--quick] [--json]: runs one benchmark and prints its rows as a table, or
// as one JSON document: {"bench", "machine", "rows": [{"name", "value", "unit", "peer"?, "ratio"?}]}.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(here)
  .filter((name) => existsSync(`${here}${name}/bench.mjs`))
  .sort()
const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' } },
  allowPositionals: true,
})
const [name] = positionals
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- NAME [--quick] [--json]\nNAME: ${names.join(', ')}`)
  process.exit(2)
}
if (!existsSync(`${here}node_modules`)) {
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: here,
    stdio: ['ignore', 2, 2],
  })
  if (result.status !== 0) console.error('The peers from npm cannot be installed: without them.')
}

const { run } = await import(`./${name}/bench.mjs`)
const rows = await run({ quick: values.quick === true, note: (text) => console.error(text) })
const machine = {
  cpu: cpus()[0].model,
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: readFileSync('/proc/version', 'utf8').split(' ')[2],
  node: process.version,
}
if (values.json === true) {
  console.log(JSON.stringify({ bench: name, machine, rows }))
} else {
  console.log(`${name} on ${machine.cores} x ${machine.cpu}, Node ${machine.node}\n`)
  const cells = rows.map((row) => [
    row.name,
    `${round(row.value)} ${row.unit}`,
    row.peer ?? '',
    row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`,
  ])
  const table = [['what', 'value', 'of', 'Kinora / peer'], ...cells]
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)))
  for (const row of table)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
}

function round(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
