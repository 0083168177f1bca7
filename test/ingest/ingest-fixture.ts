import { join } from 'node:path'
import { openArchive, type Archive } from '../../src/archive/index.ts'
import { LiveSessions, type IngestDeps } from '../../src/ingest/index.ts'
import { toSamples } from '../../src/media/matroska/scanner.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openStreamRegistry } from '../../src/registry/index.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

export const KEY = 'correct-horse'

/**
 * What a server or a pull of any protocol publishes into: the real archive and registry with a stream
 * `x`, and what became of it. Gone after the test.
 */
export async function openIngestFixture(
  replace: (deps: IngestDeps) => Partial<IngestDeps> = () => ({}),
) {
  const observed = createObserved()
  const meta = await scratchMetaStore()
  const registry = await openStreamRegistry(meta, systemClock)
  const { info } = await registry.create({ name: 'x', retentionHours: 24, publishKey: KEY })
  const directory = join(await scratchDirectory(), 'media')
  const archive = untilTestEnds(
    await openArchive(
      { directory, meta, clock: systemClock, ...observed },
      {
        retentionMsOf: () => 86_400_000,
        nameOf: () => 'x',
        maxQueuedBytes: 64 << 20,
        maxChunkBytes: 1 << 30,
      },
    ),
  )
  const real: IngestDeps = { registry, archive, clock: systemClock, ...observed }
  const deps = { ...real, ...replace(real) }
  const sessions = new LiveSessions(deps)
  const event = (name: string, field: Record<string, unknown> = {}) =>
    observed.recorder.first(
      (each) =>
        each.name === name &&
        Object.entries(field).every(([key, value]) => each.fields[key] === value),
    )
  return {
    deps: { ...deps, sessions },
    sessions,
    streamId: info.streamId,
    directory,
    archive,
    registry,
    observed,
    event,
    events: (name: string) => observed.recorder.items.filter((each) => each.name === name),
    stored: () => readStored(archive, info.streamId),
  }
}

/** Everything that is persisted, in order. */
async function readStored(archive: Archive, streamId: Parameters<Archive['after']>[0]) {
  const fragments = await archive.after(streamId, null, 10_000)
  return Promise.all(
    fragments.map(async (fragment) => {
      const { tracks, bytes } = await archive.read(fragment)
      const samples = toSamples(bytes, tracks).map((sample) => ({
        trackNumber: sample.trackNumber,
        ptsMs: sample.ptsMs,
        isKey: sample.isKey,
        data: Buffer.from(sample.data),
      }))
      return { fragment, tracks, samples }
    }),
  )
}
