import { readdir } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'

/** Cycles per protocol: few by default, TEST_CHURN_CYCLES=10000 for a full run. */
export const CHURN_CYCLES = Number(process.env.TEST_CHURN_CYCLES ?? 300)

/** A full run takes minutes. */
export const CHURN_TIMEOUT_MS = 60_000 + 60 * CHURN_CYCLES

/**
 * Runs the cycle many times and expects memory, handles, open files and the files of the directory to
 * be where they were after the first tenth.
 *
 * @param cycle opens something, uses it, and resolves when nothing of it should be left
 * @param options.removeMedia takes away what the cycles were to leave: the media that they stored
 */
export async function expectNothingLeft(
  cycle: (index: number) => Promise<void>,
  options: { readonly directory: string; readonly removeMedia: () => Promise<void> },
): Promise<void> {
  const warmUp = Math.max(50, CHURN_CYCLES / 10)
  for (let i = 0; i < warmUp; i++) await cycle(i)
  await options.removeMedia()
  const before = await measure(options.directory)
  for (let i = 0; i < CHURN_CYCLES; i++) await cycle(i)
  await options.removeMedia()
  const after = await measure(options.directory)

  console.info(`churn of ${CHURN_CYCLES}: ${JSON.stringify({ before, after })}`)
  // A map that keeps one entry of a cycle would take a hundred bytes or more of each.
  expect(after.heapBytes - before.heapBytes).toBeLessThan(1_500_000 + 60 * CHURN_CYCLES)
  expect(after.bufferBytes - before.bufferBytes).toBeLessThan(1_000_000)
  expect(after.handles).toBeLessThanOrEqual(before.handles)
  expect(after.openFiles).toBeLessThanOrEqual(before.openFiles)
  expect(after.files).toBe(before.files)
}

async function measure(directory: string) {
  const collect = toCollector()
  // Sockets are released some turns of the loop after they are closed.
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  return {
    heapBytes: heapUsed,
    bufferBytes: arrayBuffers,
    handles: process.getActiveResourcesInfo().filter((name) => name.endsWith('Wrap')).length,
    openFiles: await countOpenFiles(),
    files: files.filter((entry) => entry.isFile()).length,
  }
}

/** 0 where the system does not tell. */
async function countOpenFiles(): Promise<number> {
  try {
    return (await readdir('/proc/self/fd')).length
  } catch {
    return 0
  }
}

function toCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
