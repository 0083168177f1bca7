import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, getJson, publishWithFfmpeg, ROOT, startService } from '../support/service.ts'
import type { Service } from '../support/service.ts'

// The whole service on a disk of 40 MB that somebody else fills: a tmpfs, which only root may mount.

const settings = {
  archive: { minFreeBytes: 6_000_000 },
  streams: [{ name: 'yard', publishKey: 'publish-key' }],
}
let directory: string
let mounted = false
let service: Service
let publisher: ReturnType<typeof publishWithFfmpeg> | null = null

const isRoot = process.getuid?.() === 0
if (!isRoot) console.log('skipped: test/e2e/full-disk.test.ts needs root, to mount a small disk')

type Answer = {
  readonly state: string
  readonly archive: { readonly bytes: number; readonly newest: number | null }
}
const stream = () => getJson<Answer>(`${service.url}/control/v1/streams/yard`)
const diskState = async () => {
  const { disk } = await getJson<{ disk: { state: string } | null }>(
    `${service.url}/control/v1/space`,
  )
  return disk?.state ?? null
}
const metric = async (name: string) => {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? ([\\d.e+]+)$`, 'gm'))]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}

function publish() {
  publisher = publishWithFfmpeg({
    path: join(ROOT, 'fixtures/moving-shapes.mp4'),
    url: `${service.rtmpUrl}/yard?key=publish-key`,
    seconds: 600,
    pace: 'realtime',
  })
}

async function stopPublishing() {
  publisher?.process.kill('SIGKILL')
  await publisher?.ended
  publisher = null
}

/** Takes all that is left, to the last byte. */
function fillDisk() {
  const filler = openSync(join(directory, 'data/filler'), 'a')
  try {
    for (const size of [1 << 20, 65_536, 4_096, 1]) {
      const piece = Buffer.alloc(size, 1)
      try {
        for (;;) if (writeSync(filler, piece) < size) break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(filler)
  }
}

async function newMedia(since: number) {
  return eventually(async () => {
    const { newest } = (await stream()).archive
    return newest !== null && newest > since ? newest : null
  }, 40)
}

describe.skipIf(!isRoot)('a full disk', () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kinora-full-'))
    await mkdir(join(directory, 'data'))
    const mount = spawnSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      'size=40m',
      'tmpfs',
      `${directory}/data`,
    ])
    mounted = mount.status === 0
    if (mounted) service = await startService(directory, settings)
    else console.log(`skipped: mount: ${String(mount.stderr)}`)
  }, 60_000)
  afterAll(async () => {
    await stopPublishing()
    await service?.end('SIGKILL')
    if (mounted) spawnSync('umount', ['-l', `${directory}/data`])
    await rm(directory, { recursive: true, force: true })
  }, 60_000)

  test('stops nothing but the writing, which resumes by itself', async ({ skip }) => {
    if (!mounted) skip()
    publish()
    const first = await newMedia(0)
    fillDisk()

    await eventually(async () => ((await diskState()) === 'full' ? true : null))
    const lost = await eventually(async () => {
      const count = await metric('kinora_archive_fragments_lost_total')
      return count > 0 ? count : null
    })
    const playlist = await fetch(`${service.url}/streams/yard/hls/master.m3u8`)
    expect(lost).toBeGreaterThan(0)
    expect(playlist.status).toBe(200)
    expect(await stream()).toMatchObject({
      state: 'live',
      archive: { newest: expect.any(Number) as number },
    })
    expect(service.process.exitCode).toBeNull()

    const inFull = (await stream()).archive.newest ?? first
    await rm(join(directory, 'data/filler'))
    const after = await newMedia(inFull)
    expect(after).toBeGreaterThan(inFull)
    expect(await diskState()).toBe('ok')
    expect(await stream()).toMatchObject({ state: 'live' })
    // The detector is handed what comes again, by a consumer whose checkpoint is in the store.
    const frames = await metric('kinora_detect_frames_total')
    await eventually(async () => {
      return (await metric('kinora_detect_frames_total')) > frames ? true : null
    })
  }, 120_000)

  test('is no reason not to start, and what was held is there', async ({ skip }) => {
    if (!mounted) skip()
    await getJson(`${service.url}/control/v1/holds`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ stream: 'yard', from: 0, to: 2 ** 50, name: 'all', by: 'server' }),
    }) // or it would go to make room for the filler
    const before = (await stream()).archive
    fillDisk()
    await service.end('SIGKILL')
    await stopPublishing()
    fillDisk()

    service = await startService(directory, settings)

    const { archive } = await stream()
    expect(archive.bytes).toBeGreaterThan(0)
    expect(archive.newest).toBeGreaterThanOrEqual(before.newest! - 2_000)
    await rm(join(directory, 'data/filler'))
    await eventually(async () => ((await diskState()) === 'ok' ? true : null))
    publish()
    await newMedia(archive.newest!)
    await stopPublishing()
    await service.end('SIGTERM')
    const fsck = spawnSync(process.execPath, [
      ...[join(ROOT, 'bin/kinora.cjs'), 'fsck', '-c', join(directory, 'kinora.yaml')],
    ])
    expect({ status: fsck.status, stderr: String(fsck.stderr) }).toEqual({ status: 0, stderr: '' })
  }, 120_000)
})
