// leave-open.mjs FOLDER STREAMS: each stream persists three fragments, has half of one on disk, and the
// process ends without closing anything.
import { toStreamId } from '../../dist/domain/stream.js'
import { openAt } from '../archive/open.mjs'
import { beginIn, writeTo } from '../archive/media.mjs'

const [directory, streams] = process.argv.slice(2)
const { archive } = await openAt(directory)
await Promise.all(
  Array.from({ length: Number(streams) }, async (_, i) => {
    const writer = await archive.openWriter(toStreamId(`cam-${i}`, 1))
    const from = Date.now()
    for (let n = 0; n < 3; n++) await writeTo(writer, from + n * 2000)
    beginIn(writer, from + 6000)
    while (writer.queuedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 50))
  }),
)
console.log('{}')
process.exit(0) // nothing is closed
