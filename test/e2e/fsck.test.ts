import { spawnSync } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openArchive, type FsckReport } from '../../src/archive/index.ts'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { writeFragment } from '../support/archive-media.ts'
import { T, YARD } from '../support/archive-workplace.ts'
import { chunkFiles } from '../support/chunk-check.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { ROOT } from '../support/service.ts'

// `kinora fsck` as a person or a script runs it: its exit code and what it prints.

async function dataDirectory(): Promise<string> {
  const directory = await scratchDirectory()
  await mkdir(directory, { recursive: true })
  await using meta = await openLevelMetaStore(join(directory, 'meta'))
  const archive = await openArchive(
    { directory: join(directory, 'archive'), meta, clock: new ManualClock(T), ...createObserved() },
    {
      retentionMsOf: () => 3_600_000,
      nameOf: (streamId) => streamId,
      maxQueuedBytes: 1 << 20,
      maxChunkBytes: 1 << 20,
    },
  )
  const writer = await archive.openWriter(YARD)
  await writeFragment(writer, { at: T })
  await archive[Symbol.asyncDispose]()
  return directory
}

function runFsck(directory: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/kinora.cjs'), 'fsck', ...args],
    {
      encoding: 'utf8',
      cwd: directory,
      env: { PATH: process.env.PATH, KINORA_DATA_DIRECTORY: directory },
    },
  )
  return { status, stdout, stderr, report: () => JSON.parse(stdout) as FsckReport }
}

test('a clean archive: exit code 0 and what was checked', async () => {
  const directory = await dataDirectory()

  const { status, stdout } = runFsck(directory, '--bytes')

  expect(stdout).toMatch(
    /^Checked 1 streams, 1 chunks, 1 fragments, \d+ bytes of media\.\n0 findings/,
  )
  expect(status).toBe(0)
})

test('a finding: exit code 1, JSON, repaired only when asked', async () => {
  const directory = await dataDirectory()
  const [chunk] = await chunkFiles(join(directory, 'archive'))
  await rm(chunk!.replace('.mkv', '.idx'))

  const found = runFsck(directory, '--json')
  const repaired = runFsck(directory, '--json', '--repair')

  const codes = ({ findings }: FsckReport) => findings.map(({ code }) => code)
  expect([found.status, codes(found.report()), found.report().repaired]).toEqual([
    1,
    ['sidecar-missing'],
    0,
  ])
  expect([repaired.status, repaired.report().repaired]).toEqual([1, 1])
  expect(runFsck(directory, '--json').status).toBe(0)
})

test('--rebuild goes alone, and gives a clean archive', async () => {
  const directory = await dataDirectory()

  expect(runFsck(directory, '--rebuild', '--repair').status).toBe(2)
  expect(runFsck(directory, '--rebuild').status).toBe(0)
  expect(runFsck(directory, '--bytes').status).toBe(0)
})

test('it refuses while another process holds the data directory', async () => {
  const directory = await dataDirectory()
  await using _service = await openLevelMetaStore(join(directory, 'meta'))

  const { status, stderr } = runFsck(directory)

  expect(stderr).toMatch(/^kinora fsck: Another process uses .*\[DataDirectoryInUse\]/)
  expect(status).toBe(1)
})
