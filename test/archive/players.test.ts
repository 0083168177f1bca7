import { execFileSync, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { validateMatroska } from '../../src/media/matroska/validate.ts'
import { ElementId } from '../../src/media/matroska/element-id.ts'
import { parseHeader, scanElements, toSamples } from '../../src/media/matroska/scanner.ts'
import { clusterStart, simpleBlockHead, toMatroskaHeader } from '../../src/media/matroska/writer.ts'
import { archiveWorkplace, T, YARD } from '../support/archive-workplace.ts'
import { checkChunk, chunkFiles } from '../support/chunk-check.ts'
import { FaultyDisk } from '../support/failing-files.ts'
import { isInstalled } from '../support/installed.ts'
import { scratchDirectory } from '../support/scratch.ts'

// What programs of others make of chunks: that they decode in every state, and of finished ones the
// length, and where a seek lands.

const hasTools = isInstalled('ffmpeg', '-version') && isInstalled('ffprobe', '-version')

type State = 'finished' | 'growing' | 'recovered' | 'redacted'

/** Ten seconds at 10 frames/s, a key frame and a Cluster each second, as one chunk. */
async function chunkOf(firstTimecodeMs: number, state: State = 'finished'): Promise<string> {
  const source = join(await scratchDirectory(), 'source.mkv')
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=10:duration=10'],
    ...['-c:v', 'mpeg4', '-g', '10', '-cluster_time_limit', '1000', source],
  ])
  const file = await readFile(source)
  const { tracks } = parseHeader(file)!
  const { open, media, meta, clock } = await archiveWorkplace()
  const disk = new FaultyDisk()
  const archive = await open({ files: disk.files, meta: disk.meta(meta) })
  const writer = await archive.openWriter(YARD)
  const clusters = [...scanElements(file)].filter(({ id }) => id === ElementId.Cluster)
  for (const [i, element] of clusters.entries()) {
    const samples = toSamples(file.subarray(element.offset, element.end), tracks)
    const start = samples[0]!.ptsMs
    const at = epochMs(T + start)
    const header = toMatroskaHeader(tracks)
    writer.begin({
      ...{ header, tracks, producerTimestamp: at, serverTimestamp: at },
      ...{ discontinuity: false, startsWithKey: true },
    })
    const blocks = samples.flatMap(({ trackNumber, ptsMs, isKey, data }) => [
      simpleBlockHead({
        ...{ trackNumber, isKey, relativeMs: ptsMs - start, payloadLength: data.length },
      }),
      data,
    ])
    const producerEnd = epochMs(T + start + samples.length * 100)
    const info = { samples: samples.length, producerEnd, arrivedAt: producerEnd }
    writer.append([clusterStart(firstTimecodeMs + start), ...blocks], info)
    const isUnderWay = i === clusters.length - 1 && (state === 'growing' || state === 'recovered')
    if (isUnderWay) clock.advance(1000)
    else await writer.end(null)
  }
  while (writer.queuedBytes > 0) await turnOfTheLoop()
  const [path] = await chunkFiles(media)
  if (state === 'growing') return path!
  if (state === 'recovered') disk.plan = () => 'fail' // the process dies
  await archive[Symbol.asyncDispose]().catch(() => undefined)
  if (state === 'finished') return path!
  const again = await open()
  if (state === 'recovered') expect((await again.newest(YARD, 1))[0]?.recovered).toBe(true)
  else await again.deleteRange(YARD, { by: 'server', from: T + 3100, to: T + 4900 })
  return path!
}

/** Answers what the program printed on both streams. */
const run = (program: string, args: readonly string[]) => {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return { stdout, stderr }
}

const CASES = [
  { rule: 'Timecodes from zero', firstTimecodeMs: 0, warnings: /^$/ },
  // FFmpeg takes Cues beyond 10^14 ns (27.8 hours) for broken and looks through the file instead.
  {
    rule: 'Timecodes of wall time',
    firstTimecodeMs: T,
    warnings: /^(.*Dropping apparently-broken index\.\n)?$/,
  },
]

test.skipIf(!hasTools).each(CASES)(
  '$rule: ffprobe shows the length, ffmpeg decodes all',
  async (row) => {
    const path = await chunkOf(row.firstTimecodeMs)

    const entries = ['-show_entries', 'format=duration,start_time', '-of', 'csv=p=0', path]
    const [start, duration] = run('ffprobe', ['-v', 'error', ...entries]).stdout.split(',')
    const decoded = run('ffmpeg', ['-v', 'warning', '-i', path, '-f', 'framemd5', '-'])

    expect(Number(duration)).toBeCloseTo(10)
    expect(Number(start)).toBeCloseTo(row.firstTimecodeMs / 1000)
    expect(decoded.stderr).toMatch(row.warnings)
    expect(decoded.stdout.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(100)
    const bytes = await readFile(path)
    const source = {
      bytes: bytes.length,
      read: async (a: number, n: number) => bytes.subarray(a, a + n),
    }
    const { findings } = await validateMatroska(source, { layout: 'fragments', tail: 'whole' })
    expect(findings).toEqual([])
  },
)

test.skipIf(!hasTools).each(CASES)('$rule: a seek lands on its frame', async (row) => {
  const path = await chunkOf(row.firstTimecodeMs)
  const frames = (...args: string[]) =>
    run('ffmpeg', ['-v', 'error', ...args, '-f', 'framemd5', '-'])
      .stdout.split('\n')
      .filter((line) => /^0,/.test(line))
      .map((line) => line.split(',').at(-1)!.trim())
  const all = frames('-i', path)

  for (const second of [0, 3.5, 7.2, 9.9]) {
    const sought = frames('-ss', String(second), '-i', path)
    expect(sought, `from ${second} s`).toEqual(all.slice(Math.round(second * 10)))
  }
})

test.skipIf(!hasTools || !isInstalled('mkvmerge'))(
  'mkvmerge takes it without a complaint',
  async () => {
    const path = await chunkOf(T)

    const { stdout } = run('mkvmerge', ['-J', path])

    const { container, errors, warnings } = JSON.parse(stdout) as {
      container: { properties: { duration: number } }
      errors: unknown[]
      warnings: unknown[]
    }
    expect(container.properties.duration).toBe(10_000_000_000)
    expect([errors, warnings]).toEqual([[], []])
  },
)

test.skipIf(!hasTools || !isInstalled('mkvinfo')).each([
  { state: 'growing', frames: 100 },
  { state: 'recovered', frames: 100 },
  { state: 'redacted', frames: 80 },
] as const)('$state: ffprobe and mkvinfo open it, ffmpeg decodes all of it', async (row) => {
  const path = await chunkOf(0, row.state)

  const probe = run('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name', path])
  const decoded = run('ffmpeg', ['-v', 'error', '-i', path, '-f', 'framemd5', '-'])
  const info = run('mkvinfo', [path])

  expect(probe.stderr).toBe('')
  expect(probe.stdout).toContain('codec_name=mpeg4')
  expect(decoded.stderr).toBe('')
  expect(decoded.stdout.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(row.frames)
  expect(info.stderr).toBe('')
  expect(info.stdout).toContain('Codec ID: V_')
  expect(info.stdout).not.toMatch(/error|unknown element/i)
  await checkChunk(path)
})
