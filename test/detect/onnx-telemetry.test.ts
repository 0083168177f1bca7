import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { scratchDirectory } from '../support/scratch.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SCRIPT = `
  import { openDetector } from '${pathToFileURL(join(ROOT, 'dist/detect/index.js')).href}'
  const options = { modelDirectory: 'models/kinora-motion', framesPerSecond: 5, workers: 1 }
  const detector = await openDetector(options, { log: console })
  await detector[Symbol.asyncDispose]()
`

test('detection leaves nothing in the home folder: ONNX Runtime keeps no device ID to report', async () => {
  const home = await scratchDirectory()
  const script = join(await scratchDirectory(), 'detect.mjs')
  await writeFile(script, SCRIPT)

  const child = spawn(process.execPath, [script], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH, HOME: home },
  })
  const [code] = (await once(child, 'exit')) as [number | null]

  expect(code).toBe(0)
  expect(await readdir(home, { recursive: true })).toEqual([])
})
