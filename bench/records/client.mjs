// What the measuring processes share: a service in a process of its own, and the SDK's client to it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  CreateStreamCommand,
  KinesisClient,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttp2Handler } from '@smithy/node-http-handler'

export async function startService(directory) {
  const script = fileURLToPath(new URL('service.mjs', import.meta.url))
  const child = spawn(
    process.execPath,
    [...(process.env.SERVICE_ARGS?.split(' ') ?? []), script, directory],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    },
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const client = () =>
    new KinesisClient({
      ...{ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1' },
      credentials: {
        accessKeyId: 'AKIDBENCHBENCHBENCH1',
        secretAccessKey: 'secret of the benchmark',
      },
      // By default the SDK opens a connection for each request.
      requestHandler: new NodeHttp2Handler({ disableConcurrentStreams: false }),
    })
  return {
    client,
    port,
    pid: child.pid,
    /** Microseconds of CPU since the last call. */
    cpuUs: async () => {
      child.stdin.write('cpu\n')
      return Number((await lines.next()).value)
    },
    stop: () => child.stdin.end(),
  }
}

export async function createStream(client, shards) {
  await client.send(new CreateStreamCommand({ StreamName: 's', ShardCount: shards }))
}

let sequence = 0
/** A put of so many records of 1 KB under keys of all shards. */
export function putOf(batch, data = Buffer.alloc(1000, 'x')) {
  const record = () => ({ Data: data, PartitionKey: `key ${sequence++ % 10_000}` })
  return batch === 1
    ? new PutRecordCommand({ StreamName: 's', ...record() })
    : new PutRecordsCommand({ StreamName: 's', Records: Array.from({ length: batch }, record) })
}

/** Calls `job` in so many loops for so long. @returns calls and the time each took, sorted */
export async function during(seconds, loops, job) {
  const took = []
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  await Promise.all(
    Array.from({ length: loops }, async (_, loop) => {
      while (performance.now() < endsAt) {
        const from = performance.now()
        await job(loop)
        took.push(performance.now() - from)
      }
    }),
  )
  const wallSeconds = (performance.now() - startedAt) / 1000
  return { calls: took.length, wallSeconds, took: took.sort((a, b) => a - b) }
}

export function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
}
