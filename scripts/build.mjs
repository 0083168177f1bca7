// Compiles src/ to dist/ (tsc) and the console to dist/console/ (vite).
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const INPUTS = ['src', 'tsconfig.json', 'package-lock.json', 'scripts/build.mjs']
const STAMP = 'dist/.built'

export function build({ onlyIfStale }) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)))
  if (onlyIfStale && existsSync(STAMP) && newestChange(INPUTS) <= statSync(STAMP).mtimeMs) return
  console.error('Building ...')
  rmSync('dist', { recursive: true, force: true })
  run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json')
  run(
    'node_modules/vite/bin/vite.js',
    'build',
    '--config',
    'src/console/vite.config.ts',
    '--logLevel',
    'warn',
  )
  writeFileSync(STAMP, '')
}

function run(script, ...args) {
  const result = spawnSync(process.execPath, [script, ...args], { stdio: ['ignore', 2, 2] })
  if (result.status !== 0) process.exit(result.status ?? 1)
}

/** Folders count too: their time changes when a file is removed. */
function newestChange(paths) {
  return Math.max(
    ...paths.map((path) => {
      const { mtimeMs } = statSync(path)
      if (!statSync(path).isDirectory()) return mtimeMs
      const inside = readdirSync(path).map((name) => join(path, name))
      return inside.length === 0 ? mtimeMs : Math.max(mtimeMs, newestChange(inside))
    }),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build({ onlyIfStale: false })
