// Makes a fresh clone ready: installs the locked dependencies and builds, each only when needed.
// Called by `npm run demo`, `npm test` and `npm run bench` themselves, because install scripts and
// pre/post hooks are switched off (.npmrc).
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Kinora needs Node 20.19 or later; this is ${process.version}.`)
  process.exit(1)
}

const STAMP = 'node_modules/.kinora-lock-sha256'
const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex')
if (!isInstalled()) {
  console.error('Installing dependencies (npm ci) ...')
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 2], // standard output belongs to the command that follows
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) process.exit(result.status ?? 1)
  writeFileSync(STAMP, lock)
}
build({ onlyIfStale: true })

/** By us, or by a plain `npm ci` since the lock file last changed. */
function isInstalled() {
  if (existsSync(STAMP)) return readFileSync(STAMP, 'utf8') === lock
  const listing = 'node_modules/.package-lock.json'
  return existsSync(listing) && statSync(listing).mtimeMs >= statSync('package-lock.json').mtimeMs
}
