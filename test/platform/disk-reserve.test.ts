import { spawnSync } from 'node:child_process'
import { stat, truncate } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { keepReserve, releaseReserve } from '../../src/platform/disk-reserve.ts'
import { scratchDirectory } from '../support/scratch.ts'

const MIB = 1024 * 1024

test('a reserve is made, filled up again and given up', async () => {
  const path = join(await scratchDirectory(), 'reserve')
  await keepReserve(path, 2 * MIB + 5)
  expect((await stat(path)).size).toBe(2 * MIB + 5)
  await truncate(path, 7)

  await keepReserve(path, 2 * MIB)

  expect((await stat(path)).size).toBe(2 * MIB)
  expect(await releaseReserve(path)).toBe(2 * MIB)
  expect(await releaseReserve(path)).toBe(0)
})

// A disk of its own for one process, gone with it. Only root may have that.
const SMALL_DISK = 'mount -t tmpfs -o size=20m tmpfs "$1" && exec "$2" "$3" "$1"'
const script = resolve(import.meta.dirname, '../support/full-disk.mjs')
const canMount =
  spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt']).status === 0
if (!canMount) console.warn('skipped: a full disk needs unshare and the right to mount')

test.runIf(canMount)(
  'a full disk costs the MetaStore nothing that it took, before or after, nor its next start',
  async () => {
    const directory = await scratchDirectory()

    const { status, stdout, stderr } = spawnSync('unshare', [
      ...['-m', 'sh', '-c', SMALL_DISK, 'sh', directory, process.execPath, script],
    ])

    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout.toString())).toEqual({
      refused: ['MetaWriteFailed', 'MetaWriteFailed', 'MetaWriteFailed'],
      kept: 8,
      resumed: 3,
      commits: true,
    })
  },
)
