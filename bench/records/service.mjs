// service.mjs FOLDER PORT: the Kinesis API alone, as the service composes it.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { startHttpServer } from '../../dist/api/http-server.js'
import { createKinesisApi } from '../../dist/api/kinesis/index.js'
import { openDataStreams } from '../../dist/datastream/index.js'
import { createEvents } from '../../dist/observe/events.js'
import { silentLog } from '../../dist/observe/log.js'
import { createMetrics } from '../../dist/observe/metrics.js'
import { systemClock } from '../../dist/platform/clock.js'
import { openLevelMetaStore } from '../../dist/platform/meta-store.js'
import { BENCH_KEY } from './lean-client.mjs'

const [directory, port] = process.argv.slice(2)
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
  accessKeys: () => ({ secretAccessKey: BENCH_KEY.secretAccessKey }),
  iteratorKey: randomBytes(32),
})
await startHttpServer({
  ...{ host: '127.0.0.1', port: Number(port), ...observed },
  onRequest: (request, response) => api.handle(request, response),
})
process.once('SIGTERM', () => process.exit(0))
