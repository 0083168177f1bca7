// Runs a part of a benchmark in a process of its own, with the thread pool that the service has.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export function needBuild() {
  const built = fileURLToPath(new URL('../../dist/archive/index.js', import.meta.url))
  if (!existsSync(built)) throw new Error('build first: npm run build')
}

/** @returns what the script printed, as JSON */
export async function runChild(script, ...args) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [path, ...args.map(String)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    maxBuffer: 1 << 26,
  })
  return JSON.parse(stdout)
}
