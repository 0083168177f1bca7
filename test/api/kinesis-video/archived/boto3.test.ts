import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ACCESS_KEY } from '../running-video-api.ts'
import { anHourAgo, film, runArchivedMedia } from './archived-fixture.ts'

const CLIENT = fileURLToPath(new URL('boto3-archived.py', import.meta.url))

function hasBoto3(): boolean {
  const { status } = spawnSync('/usr/bin/python3', ['-c', 'import boto3'], { stdio: 'ignore' })
  if (status !== 0) console.warn('skipped: boto3 is not installed')
  return status === 0
}

test.skipIf(!hasBoto3())(
  'boto3 lists, reads, clips and looks at archived media',
  async () => {
    const { port, store } = await runArchivedMedia()
    const start = anHourAgo() + 1000
    const stored = await store(await film(), start)

    const { stdout } = await promisify(execFile)('/usr/bin/python3', [
      CLIENT,
      `http://127.0.0.1:${port}`,
      ACCESS_KEY.accessKeyId,
      ACCESS_KEY.secretAccessKey,
      String(start / 1000 - 1),
      String(start / 1000 + 10),
    ])

    expect(JSON.parse(stdout)).toEqual({
      numbers: stored.map(({ fragmentNumber }) => fragmentNumber),
      documents: stored.length,
      clip: ['video/mp4', 'ftyp'],
      images: 4,
      withError: 1, // a second before the first fragment
      refused: 'The requested stream is not found or not active.',
    })
  },
  60_000,
)
