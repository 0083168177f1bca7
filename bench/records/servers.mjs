// The servers that are measured, each in a process of its own: Kinora's API as the service composes it,
// and its peers. All speak the API over HTTP/1.1 on a port of the loopback interface.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readUsage } from '../ingest/process-usage.mjs'
import { freePort, startServer } from '../ingest/server.mjs'

const require = createRequire(import.meta.url)
const here = (name) => fileURLToPath(new URL(name, import.meta.url))
/** Where profiles of Kinora's process go, if anywhere: for `node --cpu-prof`. */
const profiles = process.env.KINORA_BENCH_PROFILES
const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]

const SERVERS = {
  kinora: (directory, port) => [
    process.execPath,
    [...profiling, here('service.mjs'), directory, port],
  ],
  kinesalite: (directory, port) => [
    process.execPath,
    [
      ...[require.resolve('kinesalite/cli.js'), '--port', port, '--path', `${directory}/leveldb`],
      ...['--createStreamMs', '10', '--shardLimit', '100'],
    ],
  ],
  'kinesis-local': (_directory, port, otherPort) => [
    'env',
    [
      ...[`KINESIS_MOCK_PLAIN_PORT=${port}`, `KINESIS_MOCK_TLS_PORT=${otherPort}`],
      ...['CREATE_STREAM_DURATION=10ms', 'SHARD_LIMIT=100', 'LOG_LEVEL=ERROR'],
      `KINESIS_MOCK_CERT_PATH=${join(dirname(require.resolve('kinesis-local')), 'server.json')}`,
      ...[process.execPath, require.resolve('kinesis-local')],
    ],
  ],
}

export function hasServer(name) {
  return name === 'kinora' || existsSync(here(`../node_modules/${name}`))
}

export async function startRecords(name, directory) {
  const [port, otherPort] = [await freePort(), await freePort()]
  const [command, args] = SERVERS[name](directory, port, otherPort)
  const server = await startServer(command, args.map(String), port)
  return {
    ...{ port, stop: server.stop },
    /** Seconds of CPU since its start. */
    cpuSeconds: () => readUsage(server.pid).cpuSeconds,
  }
}
