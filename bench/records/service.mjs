// service.mjs FOLDER: the Kinesis API alone, as the service composes it, until its input ends. Says its
// port, and for each line of input the CPU that it took since the last one, in microseconds.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startHttpServer } from '../../dist/api/http-server.js'
import { createKinesisApi } from '../../dist/api/kinesis/index.js'
import { openDataStreams } from '../../dist/datastream/index.js'
import { createEvents } from '../../dist/observe/events.js'
import { silentLog } from '../../dist/observe/log.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { systemClock } from '../../dist/platform/clock.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'

const [directory] = process.argv.slice(2)
const metrics = createMetrics()
const observed = {
  ...{ clock: systemClock, log: silentLog, metrics },
  events: createEvents(silentLog, metrics),
}
const meta = await openLevelMetaStore(join(directory, 'meta'))
const dataStreams = await openDataStreams({
  ...{ directory: join(directory, 'datastream'), meta, ...observed },
})
const api = createKinesisApi({
  ...{ dataStreams, region: 'us-east-1', accountId: '000000000000', ...observed },
  accessKeys: () => ({ secretAccessKey: 'secret of the benchmark' }),
  iteratorKey: randomBytes(32),
})
const server = await startHttpServer({
  ...{ host: '127.0.0.1', port: 0, ...observed },
  onRequest: (request, response) => api.handle(request, response),
})
console.log(server.port)
let before = process.cpuUsage()
for await (const _ of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage(before)
  before = process.cpuUsage()
  console.log(user + system)
}
process.exit(0)
