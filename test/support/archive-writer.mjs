// Writes several streams to an archive as fast as it acknowledges, until it is killed. One line per
// acknowledged fragment: stream id, fragment number, SHA-256 of its bytes. Runs the compiled code:
//   node archive-writer.mjs <directory> <streams> <seed>
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

async function writeStream(index) {
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
    const hash = createHash('sha256').update(fragmentTags({ fragmentNumber, ...start }))
    const append = (...parts) => {
      for (const part of parts) hash.update(part)
      writer.append(parts, { samples: 1, producerEnd: now + 100, arrivedAt: systemClock.now() })
    }
    append(clusterStart(now))
    for (let i = 0; i < 6; i++) {
      const payload = new Uint8Array(500 + ((index * 7919 + round * 104729 + i * 31) % 9000))
      payload.fill((Number(seed) + index + round + i) & 0xff)
      const payloadLength = payload.length
      append(
        simpleBlockHead({ trackNumber: 1, relativeMs: i, isKey: i === 0, payloadLength }),
        payload,
      )
      await delay(1)
    }
    const tags = round % 3 === 0 ? tagsElement([['round', String(round)]]) : null
    if (tags !== null) hash.update(tags)
    const digest = hash.digest('hex')
    void writer.end(tags).then(() => writeSync(1, `${streamId} ${fragmentNumber} ${digest}\n`))
  }
}

await Promise.all(Array.from({ length: Number(streams) }, (_, index) => writeStream(index)))
