import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { runControl } from './run-control.ts'

const run = promisify(execFile)
const MODEL_CASES = fileURLToPath(new URL('model-cases.py', import.meta.url))

type Case = {
  readonly operation: string
  readonly path: string
  readonly rule: string
  /** The member, as messages name it. */
  readonly at: string
  readonly input: object
  readonly fails: boolean
}

const hasBotocore = () => {
  if (spawnSync('python3', ['-c', 'import botocore']).status === 0) return true
  console.warn('skipped: botocore is not installed')
  return false
}

test.skipIf(!hasBotocore())(
  'inputs are what the service model says, constraint by constraint',
  async () => {
    const { call } = await runControl()
    const services = [
      'kinesisvideo',
      'kinesis-video-signaling',
      'kinesis-video-webrtc-storage',
      'kinesis-video-media',
      'kinesis-video-archived-media',
    ]
    const { stdout } = await run('python3', [MODEL_CASES, ...services], { maxBuffer: 64 << 20 })
    const cases = JSON.parse(stdout) as Case[]
    const wrong: string[] = []
    for (const { operation, path, rule, at, input, fails } of cases) {
      const { body } = await call(path, input)
      const message = JSON.stringify(body.Message ?? body.message ?? '')
      const failed = message.includes(`at '${at}' failed to satisfy constraint`)
      if (failed !== fails) wrong.push(`${operation} ${at}: ${rule}: ${message.slice(0, 300)}`)
    }

    expect(cases.length).toBeGreaterThan(300)
    expect(wrong).toEqual([])
  },
  300_000,
)
