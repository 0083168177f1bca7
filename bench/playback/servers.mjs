// What is measured: the whole service, and nginx that serves the same bytes as files.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readUsage } from '../ingest/process-usage.mjs'
import { freePort, startServer } from '../ingest/server.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

export async function startKinora(directory, streams) {
  const port = await freePort()
  const config = join(directory, 'kinora.yaml')
  writeFileSync(
    config,
    `dataDirectory: ${directory}/data\nlog: {level: warn}\nhttp: {port: ${port}}\n` +
      'rtmp: {enabled: false}\nrtsp: {enabled: false}\ndetection: {enabled: false}\n' +
      'auth: {awsSignatures: off}\ngetMedia: {maxReadersPerStream: 1000}\n' +
      `streams: [${streams.map((name) => `{name: ${name}}`).join(', ')}]\n`,
  )
  const command = [join(root, 'bin/kinora.cjs'), 'serve', '--config', config]
  return measured(await startServer(process.execPath, command, port), port)
}

export function hasNginx() {
  return spawnSync('nginx', ['-v'], { stdio: 'ignore' }).error === undefined
}

/** Serves the folder `files` below the given one. */
export async function startNginx(directory) {
  const port = await freePort()
  for (const name of ['files', 'tmp']) mkdirSync(join(directory, name), { recursive: true })
  const config = join(directory, 'nginx.conf')
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${directory}/nginx.pid;
error_log ${directory}/error.log; events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path ${directory}/tmp; proxy_temp_path ${directory}/tmp;
  fastcgi_temp_path ${directory}/tmp; uwsgi_temp_path ${directory}/tmp; scgi_temp_path ${directory}/tmp;
  server { listen 127.0.0.1:${port}; root ${directory}/files; } }
`,
  )
  return measured(await startServer('nginx', ['-c', config, '-p', directory], port), port)
}

function measured({ pid, stop }, port) {
  return { port, stop, cpuSeconds: () => readUsage(pid).cpuSeconds }
}

/** One call of the Kinesis Video API, whole. */
export async function call(port, operation, input) {
  const response = await fetch(`http://127.0.0.1:${port}/${operation}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
  })
  if (!response.ok) throw new Error(`${operation}: ${await response.text()}`)
  return response
}

/** Headers of a PutMedia call. */
export function putMediaHeaders(stream) {
  return {
    'x-amzn-stream-name': stream,
    'x-amzn-fragment-timecode-type': 'ABSOLUTE',
    'x-amzn-fragment-acknowledgment-required': '1',
  }
}
