import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tmpdir } from 'node:os'
import { UsageError, type Command } from '../../src/cli/command.ts'
import { clipCommand } from '../../src/cli/clip.ts'
import { getCommand } from '../../src/cli/get.ts'
import { putCommand } from '../../src/cli/put.ts'
import { demux } from '../playback/support/demux.ts'
import { ROOT, startService, type Service } from '../support/service.ts'

const FILE = join(ROOT, 'fixtures/moving-shapes.mp4')
const START = Date.now() - 60_000

let directory: string
let service: Service

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kinora-test-'))
  service = await startService(directory, {
    detection: { enabled: false },
    streams: [{ name: 'cam' }, { name: 'live', retentionHours: 0 }],
  })
}, 60_000)

afterAll(async () => {
  await service.end('SIGTERM')
  await rm(directory, { recursive: true, force: true })
})

/** The program as people run it. */
async function kinora(...args: string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'bin/kinora.cjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
    env: { ...process.env, KINORA_CONFIG: join(directory, 'kinora.yaml') },
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => err.push(bytes))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out: Buffer.concat(out), err: Buffer.concat(err).toString() }
}

describe('a file', () => {
  test('is put, read back as Matroska, and cut out as MP4', { timeout: 180_000 }, async () => {
    const put = await kinora('put', FILE, '--stream', 'cam', '--start-time', String(START))
    expect([put.code, put.err]).toEqual([0, ''])
    const count = Number(/^Put (\d+) fragments to cam\.\n$/.exec(put.out.toString())?.[1])
    expect(count).toBeGreaterThan(1)

    const listed = await kinora('get', 'cam', '--from', 'earliest', '--count', '2', '--json')
    const [first, second] = listed.out
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { fragmentNumber: string; producerTimestamp: string })
    expect(Date.parse(first!.producerTimestamp) - START).toBeLessThan(1000)
    const behind = await kinora(
      'get',
      'cam',
      '--after',
      first!.fragmentNumber,
      '--count',
      '1',
      '--json',
    )
    expect(JSON.parse(behind.out.toString())).toMatchObject({
      fragmentNumber: second!.fragmentNumber,
    })

    const whole = await demux(FILE)
    const videoPackets = ({ packets }: typeof whole) =>
      packets.filter(({ trackNumber }) => trackNumber === 1)
    const clip = join(directory, 'clip.mp4')
    const to = String(START + 60_000)
    const cut = await kinora('clip', 'cam', '--from', String(START), '--to', to, '-o', clip)
    expect([cut.code, cut.err]).toEqual([0, ''])
    expect(videoPackets(await demux(clip))).toHaveLength(videoPackets(whole).length)

    const saved = join(directory, 'all.mkv')
    const got = await kinora(
      'get',
      'cam',
      '--from',
      'earliest',
      '--count',
      String(count),
      '-o',
      saved,
    )
    expect([got.code, got.err]).toEqual([0, ''])
    expect((await readFile(saved)).subarray(0, 4).toString('hex')).toBe('1a45dfa3')
    const out = await kinora('get', 'cam', '--from', 'earliest', '--count', '1')
    expect(out.out.subarray(0, 4).toString('hex')).toBe('1a45dfa3')
  })

  test('into a live buffer is received', { timeout: 60_000 }, async () => {
    const { code, out } = await kinora('put', FILE, '--stream', 'live')

    expect(code).toBe(0)
    expect(out.toString()).toMatch(/^Put [1-9]\d* fragments to live\.\n$/)
  })
})

describe('what goes wrong is said, with an exit code', () => {
  test.each([
    { args: ['put'], code: 2, says: 'kinora put: give one file' },
    {
      args: ['put', 'none.mp4', '--stream', 'cam'],
      ...{ code: 1, says: 'kinora put: Cannot read none.mp4: ENOENT. [CannotRead]' },
    },
    {
      args: ['put', 'kinora.yaml', '--stream', 'cam'],
      ...{ code: 1, says: '[UnreadableMediaFile]' },
    },
    {
      args: ['put', FILE, '--stream', 'none'],
      ...{ code: 1, says: '[ResourceNotFoundException]' },
    },
    {
      args: ['clip', 'none', '--from', '1', '--to', '2'],
      ...{ code: 1, says: '[ResourceNotFoundException]' },
    },
    {
      args: ['clip', 'cam', '--from', '0', '--to', '1', '-o', 'none.mp4'],
      ...{ code: 1, says: 'kinora clip: ' },
    },
  ])('kinora $args: $code', { timeout: 60_000 }, async ({ args, code, says }) => {
    const answer = await kinora(...args)

    expect(answer.err).toContain(says)
    expect(answer.code).toBe(code)
    // Half a file is none.
    expect((await readdir(directory)).filter((name) => /partial|none/.test(name))).toEqual([])
  })

  test.each<{ command: Command; args: string[]; says: string }>([
    { command: putCommand, args: [FILE], says: 'give --stream NAME' },
    { command: putCommand, args: ['a', 'b', '--stream', 's'], says: 'give one file' },
    {
      command: putCommand,
      args: [FILE, '--stream', 's', '--start-time', 'x'],
      says: '--start-time',
    },
    { command: getCommand, args: [], says: 'give one stream' },
    { command: getCommand, args: ['cam', '--from', 'soon'], says: '--from: neither ISO 8601' },
    { command: getCommand, args: ['cam', '--count', '0'], says: '--count: a number from 1 on' },
    { command: getCommand, args: ['cam', '--by', 'sun'], says: '--by: producer or server' },
    { command: getCommand, args: ['cam', '--from', 'now', '--after', '1'], says: 'not both' },
    { command: getCommand, args: ['cam', '--no-such'], says: '--no-such' },
    { command: clipCommand, args: ['cam'], says: 'give --from TIME and --to TIME' },
    { command: clipCommand, args: ['cam', '--from', '1', '--to', '2', '--by', 'x'], says: '--by' },
  ])('$command.name $args: $says', async ({ command, args, says }) => {
    const failure: unknown = await command.run(args).catch((error: unknown) => error)

    expect(failure).toBeInstanceOf(UsageError)
    expect((failure as Error).message).toContain(says)
  })

  test('nobody there', { timeout: 60_000 }, async () => {
    const config = join(directory, 'elsewhere.yaml')
    const key = { accessKeyId: 'AKIDTESTTESTTEST0001', secretAccessKey: 'a secret of tests' }
    await writeFile(config, JSON.stringify({ http: { port: 9 }, auth: { accessKeys: [key] } }))
    const { code, err } = await kinora('get', 'cam', '-c', config)

    expect(code).toBe(1)
    expect(err).toContain('No service answers at http://127.0.0.1:9. [ServiceUnreachable]')
  })
})
