import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, getJson, publishWithFfmpeg, ROOT, startService } from '../support/service.ts'
import type { Service } from '../support/service.ts'

// Quotas, holds, deleted ranges and space over the control API and the commands, on recorded media.

type Stream = {
  readonly state: string
  readonly quotaBytes: number | null
  readonly archive: { readonly bytes: number; readonly oldest: number | null; newest: number }
}
let directory: string
let service: Service
let recorded: Stream['archive']

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kinora-space-'))
  service = await startService(directory, {
    detection: { enabled: false },
    streams: [{ name: 'yard', publishKey: 'publish-key', quotaBytes: 5_000_000 }],
  })
  const publisher = publishWithFfmpeg({
    path: join(ROOT, 'fixtures/moving-shapes.mp4'),
    url: `${service.rtmpUrl}/yard?key=publish-key`,
    seconds: 10,
    pace: 'fast',
  })
  await publisher.ended
  recorded = await eventually(async () => {
    const { state, archive } = await getJson<Stream>(`${service.url}/control/v1/streams/yard`)
    const isComplete = state === 'idle' && archive.bytes > 0
    return isComplete && archive.oldest !== null ? archive : null
  })
}, 60_000)
afterAll(async () => {
  await service?.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

function kinora(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/kinora.cjs'), ...args],
    { cwd: directory, encoding: 'utf8', env: { ...process.env, KINORA_URL: service.url } },
  )
  return { status, stdout, stderr }
}
const stream = () => getJson<Stream>(`${service.url}/control/v1/streams/yard`)

test('a quota from the configuration is changed and lifted', async () => {
  expect(await stream()).toMatchObject({ quotaBytes: 5_000_000 })
  expect(kinora('streams', 'set', 'yard', '--quota', '2.5GB')).toMatchObject({ status: 0 })
  expect(await stream()).toMatchObject({ quotaBytes: 2.5e9 })
  expect(kinora('streams', 'set', 'yard', '--quota', 'none')).toMatchObject({ status: 0 })
  expect(await stream()).toMatchObject({ quotaBytes: null })
  expect(kinora('streams', 'set', 'yard', '--quota', 'much')).toMatchObject({ status: 2 })
})

test('space is told over the control API and in the metrics', async () => {
  // Its last chunk may be on its way to its end.
  const space = await eventually(async () => {
    const { bytes } = (await stream()).archive
    const answer = await getJson<{ streams: { bytes: number }[] }>(
      `${service.url}/control/v1/space`,
    )
    return answer.streams[0]?.bytes === bytes ? answer : null
  })
  const metrics = await (await fetch(`${service.url}/metrics`)).text()

  expect(space).toMatchObject({
    disk: { freeBytes: expect.any(Number) as number, minFreeBytes: expect.any(Number) as number },
    streams: [{ stream: 'yard', bytes: (await stream()).archive.bytes }],
  })
  expect(metrics).toMatch(/^kinora_archive_disk_free_bytes \d/m)
  expect(metrics).toMatch(/^kinora_archive_disk_full_seconds /m)
})

test('a hold keeps a range from deletion until it is released', async () => {
  const range = ['--from', '0', '--to', String(recorded.newest + 60_000), '--by', 'server']
  const added = kinora('hold', 'add', 'yard', ...range, '--name', 'case 12', '--json')
  const { id } = JSON.parse(added.stdout) as { id: string }

  expect(kinora('hold', 'list').stdout).toContain('case 12')
  expect(kinora('streams', 'delete-range', 'yard', ...range)).toMatchObject({ status: 1 })
  expect(kinora('streams', 'delete', 'yard').stderr).toContain('StreamHeld')
  expect(kinora('hold', 'release', id)).toMatchObject({ status: 0 })
  expect(kinora('hold', 'release', id).stderr).toContain('HoldNotFound')
  const deleted = kinora('streams', 'delete-range', 'yard', ...range)

  expect(deleted).toMatchObject({ status: 0, stderr: '' })
  expect((await stream()).archive).toMatchObject({ bytes: 0, oldest: null })
}, 60_000)

test('retention 0 is a live buffer; it can be changed both ways', async () => {
  expect(kinora('streams', 'set', 'yard', '--retention-hours', '0')).toMatchObject({ status: 0 })
  expect(await stream()).toMatchObject({ retentionHours: 0 })
  expect(kinora('streams', 'set', 'yard', '--retention-hours', '48')).toMatchObject({ status: 0 })
  expect(await stream()).toMatchObject({ retentionHours: 48 })
})
