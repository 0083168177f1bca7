import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { KinesisClient, type KinesisClientConfig } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { startHttpServer } from '../../../src/api/http-server.ts'
import { createKinesisApi, type KinesisApiParts } from '../../../src/api/kinesis/index.ts'
import {
  DEFAULT_KEY_ID,
  MasterKeys,
  openDataStreams,
  type DataStreamsOptions,
} from '../../../src/datastream/index.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { createObserved } from '../../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../../support/scratch.ts'

export const ACCESS_KEY = {
  accessKeyId: 'AKIDTESTTESTTEST0001',
  secretAccessKey: 'a secret of tests',
}
export const GUEST_KEY = {
  accessKeyId: 'AKIDTESTTESTGUEST001',
  secretAccessKey: 'another secret of tests',
}
export const ACCOUNT_ID = '000000000000'

export type ClientProtocol = 'h2c' | 'HTTP/1.1'

export type RunningApi = Awaited<ReturnType<typeof runKinesisApi>>

/** The API on a free port, its clock in the test's hand, until the test ends. */
export async function runKinesisApi(
  options: Partial<DataStreamsOptions> = {},
  identityPolicies: KinesisApiParts['identityPolicies'] = () => null,
) {
  const observed = createObserved()
  const clock = new ManualClock(Date.now())
  const directory = join(await scratchDirectory(), 'datastream')
  const meta = await scratchMetaStore()
  const masterKeys = new MasterKeys(new Map([[DEFAULT_KEY_ID, randomBytes(32)]]))
  const dataStreams = untilTestEnds(
    await openDataStreams({ directory, meta, clock, masterKeys, ...observed }, options),
  )
  const api = createKinesisApi({
    dataStreams,
    accessKeys: (id) =>
      [ACCESS_KEY, GUEST_KEY].find(({ accessKeyId }) => accessKeyId === id) ?? null,
    clock,
    metrics: observed.metrics,
    log: observed.log,
    region: 'us-east-1',
    accountId: ACCOUNT_ID,
    iteratorKey: randomBytes(32),
    identityPolicies,
    ...(options.quotas !== undefined && { quotas: options.quotas }),
  })
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    onRequest: async (request, response) => {
      if (api.handles(request)) {
        await api.handle(request, response)
        return
      }
      response.statusCode = 418
      response.end()
    },
    clock: systemClock,
    log: observed.log,
  })
  onTestFinished(async () => {
    api.endStreams()
    await server.close(0)
  })
  const endpoint = `http://127.0.0.1:${server.port}`
  return {
    endpoint,
    server,
    endStreams: () => api.endStreams(),
    clock,
    dataStreams,
    directory,
    observed,
    /** Signs with the time that the clock shows now: make another after a long advance. */
    client: (protocol: ClientProtocol, credentials = ACCESS_KEY, maxAttempts = 3) =>
      connect(endpoint, protocol, credentials, {
        systemClockOffset: clock.now() - Date.now(),
        maxAttempts,
      }),
  }
}

/** The unmodified SDK client; by default it speaks HTTP/2 with prior knowledge. */
export function connect(
  endpoint: string,
  protocol: ClientProtocol,
  credentials = ACCESS_KEY,
  options: Pick<KinesisClientConfig, 'systemClockOffset' | 'maxAttempts'> = {},
) {
  const client = new KinesisClient({
    endpoint,
    region: 'eu-west-3',
    credentials,
    ...options,
    ...(protocol === 'HTTP/1.1' && { requestHandler: new NodeHttpHandler() }),
  })
  onTestFinished(() => client.destroy())
  return client
}
