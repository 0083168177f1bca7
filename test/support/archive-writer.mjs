// Writes several streams to an archive until it is killed: every other one in fragments of some tens
// of milliseconds, the others in fragments of five seconds. Runs the compiled code:
//   node archive-writer.mjs <directory> <streams> <seed>
// One line for all that it hands over and for all that is acknowledged:
//   appended <stream id> <fragment number> <bytes of the fragment so far> <ms, wall clock>
//   persisted <stream id> <fragment number> <SHA-256 of its bytes>
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openArchive } from '../../dist/archive/index.js'
import { toStreamId } from '../../dist/domain/stream.js'
import {
  clusterStart,
  fragmentTags,
  simpleBlockHead,
  tagsElement,
  toMatroskaHeader,
} from '../../dist/media/matroska/writer.js'
import { createEvents } from '../../dist/observe/events.js'
import { silentLog } from '../../dist/observe/log.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { systemClock } from '../../dist/platform/clock.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const [directory, streams, seed] = process.argv.slice(2)
const track = {
  number: 1,
  kind: 'video',
  codecId: 'V_MPEG4/ISO/AVC',
  codecPrivate: new Uint8Array(20),
  timescale: 1000,
  video: { widthPx: 64, heightPx: 48 },
  audio: null,
}
const header = toMatroskaHeader([track])
const metrics = createMetrics()
const archive = await openArchive(
  {
    directory: join(directory, 'media'),
    meta: await openLevelMetaStore(join(directory, 'meta')),
    clock: systemClock,
    events: createEvents(silentLog, metrics),
    metrics,
    log: silentLog,
  },
  {
    retentionMsOf: () => 24 * 3_600_000,
    nameOf: (streamId) => streamId,
    maxQueuedBytes: 16 * 1024 * 1024,
    maxChunkBytes: 256 * 1024,
  },
)

const SHORT = { blocks: 6, everyMs: 5 }
const LONG = { blocks: 125, everyMs: 40 }

/** Waits while the pipe is full: whoever reads it may be slow on a busy machine. */
function tell(line) {
  for (let rest = Buffer.from(line); rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}

async function writeStream(index) {
  const { blocks, everyMs } = index % 2 === 0 ? SHORT : LONG
  const streamId = toStreamId(`cam-${index}`, 1)
  const writer = await archive.openWriter(streamId)
  for (let round = 0; ; round++) {
    const now = systemClock.now()
    const start = { producerTimestamp: now, serverTimestamp: now }
    const fragmentNumber = writer.begin({
      ...start,
      header,
      tracks: [track],
      discontinuity: round === 0,
      startsWithKey: true,
    })
    const tags = fragmentTags({ fragmentNumber, ...start })
    const hash = createHash('sha256').update(tags)
    let length = tags.length
    const append = (...parts) => {
      for (const part of parts) {
        hash.update(part)
        length += part.length
      }
      const arrivedAt = systemClock.now()
      writer.append(parts, { samples: 1, producerEnd: now + 100, arrivedAt })
      tell(`appended ${streamId} ${fragmentNumber} ${length} ${arrivedAt}\n`)
    }
    append(clusterStart(now))
    for (let i = 0; i < blocks; i++) {
      const payload = new Uint8Array(500 + ((index * 7919 + round * 104729 + i * 31) % 9000))
      payload.fill((Number(seed) + index + round + i) & 0xff)
      const payloadLength = payload.length
      append(
        simpleBlockHead({ trackNumber: 1, relativeMs: i, isKey: i === 0, payloadLength }),
        payload,
      )
      await delay(everyMs)
    }
    const producerTags = round % 3 === 0 ? tagsElement([['round', String(round)]]) : null
    if (producerTags !== null) hash.update(producerTags)
    const digest = hash.digest('hex')
    void writer.end(producerTags).then(() => {
      tell(`persisted ${streamId} ${fragmentNumber} ${digest}\n`)
    })
  }
}

await Promise.all(Array.from({ length: Number(streams) }, (_, index) => writeStream(index)))
