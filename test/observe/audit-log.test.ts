import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { epochMs } from '../../src/domain/time.ts'
import { openAuditFile } from '../../src/observe/audit-file.ts'
import {
  classOf,
  createAuditLog,
  type AuditEntry,
  type CallClass,
} from '../../src/observe/audit-log.ts'
import { silentLog } from '../../src/observe/log.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { scratchDirectory } from '../support/scratch.ts'

const NOW = epochMs(1_795_176_000_000)
const ENTRY: AuditEntry = {
  at: NOW,
  api: 'kinesis-video',
  operation: 'CreateStream',
  resource: 'arn:aws:kinesisvideo:us-east-1:000000000000:stream/cam/0',
  caller: 'AKID',
  sourceIp: '10.0.0.1',
  userAgent: 'aws-sdk-js/3',
  status: 200,
  outcome: 'OK',
  durationMs: 3,
  requestId: 'r',
}

function open(include: readonly CallClass[] = ['changes']) {
  const metrics = createMetrics()
  const lines: string[] = []
  const sink = {
    write: (line: string) => void lines.push(line),
    [Symbol.asyncDispose]: async () => undefined,
  }
  return { log: createAuditLog({ include, sink, metrics, now: NOW }), lines, metrics }
}

async function dropped(metrics: ReturnType<typeof createMetrics>, reason: string) {
  const { values } = await metrics.auditDropped.get()
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0
}

describe('the audit log', () => {
  test('has one JSON line per call, with who, what, on what, from where, when and how', () => {
    const { log, lines } = open()
    log.record(ENTRY)

    expect(lines).toHaveLength(1)
    expect(lines[0]!.endsWith('\n')).toBe(true)
    const { at: _at, ...told } = ENTRY
    expect(JSON.parse(lines[0]!)).toEqual({ time: '2026-11-20T12:00:00.000Z', ...told })
  })

  test.each<{ operation: string; told: CallClass }>([
    { operation: 'CreateStream', told: 'changes' },
    { operation: 'TagResource', told: 'changes' },
    { operation: 'DELETE /control/v1/streams/:name', told: 'changes' },
    { operation: 'GET /control/v1/streams', told: 'reads' },
    { operation: 'DescribeStream', told: 'reads' },
    { operation: 'ListFragments', told: 'reads' },
    { operation: 'GetHLSStreamingSessionURL', told: 'reads' },
    { operation: 'PutRecords', told: 'data' },
    { operation: 'GetRecords', told: 'data' },
    { operation: 'SubscribeToShard', told: 'data' },
    { operation: 'PutMedia', told: 'data' },
    { operation: 'GetMediaForFragmentList', told: 'data' },
    { operation: 'PutResourcePolicy', told: 'changes' },
  ])('$operation is one of the $told', ({ operation, told }) => {
    expect(classOf(operation)).toBe(told)
    for (const include of ['changes', 'reads', 'data'] as const) {
      const { log, lines } = open([include])
      log.record({ ...ENTRY, operation })
      expect(lines).toHaveLength(include === told ? 1 : 0)
    }
  })

  test.each([401, 403])('what was refused with %d is told of any class', (status) => {
    const { log, lines } = open([])
    log.record({ ...ENTRY, operation: 'GetRecords', status, outcome: 'AccessDeniedException' })

    expect(lines).toHaveLength(1)
  })

  test('strangers cannot push the others out', async () => {
    const { log, lines, metrics } = open()
    for (let i = 0; i < 100; i++) log.record({ ...ENTRY, caller: null, status: 403 })
    log.record(ENTRY)

    expect(lines).toHaveLength(11)
    expect(await dropped(metrics, 'strangers')).toBe(90)
  })

  test('long texts of callers are cut', () => {
    const { log, lines } = open()
    log.record({ ...ENTRY, userAgent: 'x'.repeat(100_000), resource: 'y'.repeat(100_000) })

    expect(lines[0]!.length).toBeLessThan(2_000)
  })
})

describe('its file', () => {
  async function openFile(options: { maxFileBytes?: number; maxFiles?: number } = {}) {
    const directory = join(await scratchDirectory(), 'data')
    const metrics = createMetrics()
    const path = join(directory, 'audit.log')
    const start = () =>
      openAuditFile({
        ...{ path, maxFileBytes: 1000, maxFiles: 3, metrics, log: silentLog },
        ...options,
      })
    return { directory, path, metrics, start }
  }

  test('keeps every line in order over restarts, and rotates by size and count', async () => {
    const { directory, start } = await openFile()
    await mkdir(directory)
    const lines = Array.from({ length: 60 }, (_, i) => `${String(i).padStart(49, '0')}\n`)
    for (let run = 0; run < 3; run++) {
      const file = start()
      for (const line of lines.slice(run * 20, run * 20 + 20)) file.write(line)
      await file[Symbol.asyncDispose]()
    }

    const names = (await readdir(directory)).sort()
    expect(names).toEqual(['audit.log', 'audit.log.1', 'audit.log.2'])
    const kept = await Promise.all(
      names.toReversed().map((name) => readFile(join(directory, name), 'utf8')),
    )
    expect(kept.join('')).toBe(lines.join(''))
    for (const text of kept) expect(text.length).toBeLessThanOrEqual(1000)
  })

  test('forgets the oldest file', async () => {
    const { directory, start, path } = await openFile({ maxFiles: 2 })
    await mkdir(directory)
    const file = start()
    for (let i = 0; i < 60; i++) file.write(`${String(i).padStart(49, '0')}\n`)
    await file[Symbol.asyncDispose]()

    expect((await readdir(directory)).sort()).toEqual(['audit.log', 'audit.log.1'])
    expect((await readFile(path, 'utf8')).split('\n')[0]).toBe('40'.padStart(49, '0'))
  })

  test('one file alone begins anew', async () => {
    const { directory, start } = await openFile({ maxFiles: 1 })
    await mkdir(directory)
    const file = start()
    for (let i = 0; i < 30; i++) file.write(`${String(i).padStart(49, '0')}\n`)
    await file[Symbol.asyncDispose]()

    expect(await readdir(directory)).toEqual(['audit.log'])
  })

  test('ends a line that a kill left torn', async () => {
    const { directory, path, start } = await openFile()
    await mkdir(directory)
    await writeFile(path, '{"torn":')
    const file = start()
    file.write('whole\n')
    await file[Symbol.asyncDispose]()

    expect(await readFile(path, 'utf8')).toBe('{"torn":\nwhole\n')
  })

  test('that cannot be written costs its lines only, and is tried again', async () => {
    const { directory, path, metrics, start } = await openFile()
    await writeFile(directory, 'a file where the folder should be')
    const file = start()
    file.write('lost\n')
    await expect.poll(() => dropped(metrics, 'write-failed'), { timeout: 30_000 }).toBe(1)

    await rm(directory)
    await mkdir(directory)
    file.write('kept\n')
    await file[Symbol.asyncDispose]()
    expect(await readFile(path, 'utf8')).toBe('kept\n')
  })

  test('drops and counts what the disk does not keep up with', async () => {
    const { directory, metrics, start } = await openFile({ maxFileBytes: 1_000_000 })
    await mkdir(directory)
    const file = start()
    for (let i = 0; i < 10_100; i++) file.write('x\n') // in one turn: nothing is written meanwhile
    await file[Symbol.asyncDispose]()

    expect(await dropped(metrics, 'queue-full')).toBe(100)
  })
})
