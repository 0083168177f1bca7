// What one RTMP stream costs: CPU, memory and write calls of the server while N publishers send in
// real time. Each server does what it can: Kinora archives, indexes and is HLS-ready; nginx-rtmp
// records FLV and cuts HLS; node-media-server records FLV. All run one after the other on the same
// machine with the same publishers.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startServer, freePort, median } from './server.mjs'
import { readUsage } from './process-usage.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CLIP = join(root, 'fixtures/moving-shapes.mp4')
const KEY = 'bench-test-key'

export async function run({ quick, note }) {
  const streams = quick ? 10 : 30
  const seconds = quick ? 6 : 20
  const rounds = quick ? 1 : 3
  const peers = [
    kinora,
    ...(hasNodeMediaServer() ? [nodeMediaServer] : []),
    ...(hasNginx() ? [nginx] : []),
  ]
  if (!hasNodeMediaServer()) note('node-media-server is not installed: left out')
  if (!hasNginx()) note('nginx with its RTMP module is not installed: left out')

  /** peer name -> one measurement per round; the rounds take turns, so that drift hits all alike. */
  const results = new Map(peers.map((peer) => [peer.title, []]))
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      note(`round ${round + 1}/${rounds}: ${peer.title}, ${streams} streams, ${seconds} s`)
      results.get(peer.title).push(await measure(peer, streams, seconds))
    }
  }
  return toRows(results, streams)
}

async function measure(peer, streams, seconds) {
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  const server = await peer.start(directory, streams)
  let publishers
  try {
    await delay(500)
    const idle = readUsage(server.pid)
    publishers = spawn(
      process.execPath,
      [
        fileURLToPath(new URL('publishers.mjs', import.meta.url)),
        CLIP,
        String(streams),
        server.url,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, UV_THREADPOOL_SIZE: '64' } },
    )
    await delay(4000) // all are connected and past their first fragments
    const before = readUsage(server.pid)
    await delay(seconds * 1000)
    const after = readUsage(server.pid)
    if (publishers.exitCode !== null) throw new Error(`the publishers to ${peer.title} stopped`)
    const elapsed = (after.at - before.at) / 1000
    return {
      cpuPercent: ((after.cpuSeconds - before.cpuSeconds) / elapsed / streams) * 100,
      memoryMB: (after.residentBytes - idle.residentBytes) / 1e6 / streams,
      writesPerSecond: (after.writeCalls - before.writeCalls) / elapsed / streams,
      diskMBps: (after.writtenBytes - before.writtenBytes) / 1e6 / elapsed,
    }
  } finally {
    publishers?.kill('SIGKILL')
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

const kinora = {
  title: 'Kinora',
  async start(directory, streams) {
    const [rtmpPort, httpPort] = [await freePort(), await freePort()]
    const config = join(directory, 'kinora.yaml')
    const list = Array.from({ length: streams }, (_, i) => `{name: s${i}, publishKey: ${KEY}}`)
    writeFileSync(
      config,
      `dataDirectory: ${directory}/data\nlog: {level: warn}\nhttp: {port: ${httpPort}}\n` +
        `rtmp: {port: ${rtmpPort}}\ndetection: {enabled: false}\nstreams: [${list.join(', ')}]\n`,
    )
    const server = await startServer(
      process.execPath,
      [join(root, 'bin/kinora.cjs'), 'serve', '--config', config],
      rtmpPort,
    )
    return { ...server, url: `rtmp://127.0.0.1:${rtmpPort}/live/s#?key=${KEY}` }
  },
}

const nodeMediaServer = {
  title: 'node-media-server 4.4.3 (FLV record, no HLS)',
  async start(directory) {
    const rtmpPort = await freePort()
    const server = await startServer(
      process.execPath,
      [
        fileURLToPath(new URL('node-media-server.mjs', import.meta.url)),
        String(rtmpPort),
        String(await freePort()),
        join(directory, 'record'),
      ],
      rtmpPort,
    )
    return { ...server, url: `rtmp://127.0.0.1:${rtmpPort}/live/s#` }
  },
}

const NGINX_MODULE = '/usr/lib/nginx/modules/ngx_rtmp_module.so'

const nginx = {
  title: 'nginx-rtmp (FLV record + TS HLS)',
  async start(directory) {
    const rtmpPort = await freePort()
    for (const name of ['record', 'hls', 'tmp']) mkdirSync(join(directory, name), { mode: 0o777 })
    const config = join(directory, 'nginx.conf')
    writeFileSync(
      config,
      `load_module ${NGINX_MODULE};
daemon off; master_process off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
events { worker_connections 1024; }
rtmp { server { listen 127.0.0.1:${rtmpPort}; application live { live on;
  record all; record_path ${directory}/record; record_interval 60s; record_unique on;
  hls on; hls_path ${directory}/hls; hls_fragment 2s; hls_playlist_length 20s; hls_nested on; } } }
`,
    )
    const server = await startServer('nginx', ['-c', config, '-p', directory], rtmpPort)
    return { ...server, url: `rtmp://127.0.0.1:${rtmpPort}/live/s#` }
  },
}

function hasNginx() {
  return existsSync(NGINX_MODULE)
}

function hasNodeMediaServer() {
  return existsSync(fileURLToPath(new URL('../node_modules/node-media-server', import.meta.url)))
}

function toRows(results, streams) {
  const MEASURES = [
    ['cpuPercent', 'CPU per stream', '% of a core'],
    ['memoryMB', 'memory per stream above idle', 'MB'],
    ['writesPerSecond', 'write calls per stream (sockets included)', '/s'],
    ['diskMBps', `written, ${streams} streams`, 'MB/s'],
  ]
  const own = results.get(kinora.title)
  return MEASURES.flatMap(([key, name, unit]) => {
    const value = median(own.map((sample) => sample[key]))
    const peers = [...results].filter(([title]) => title !== kinora.title)
    return [
      { name: `${name}: Kinora`, value, unit },
      ...peers.map(([peer, samples]) => {
        const peerValue = median(samples.map((sample) => sample[key]))
        const ratio = value / peerValue
        return {
          name: `${name}: ${peer}`,
          value: peerValue,
          unit,
          peer,
          ...(Number.isFinite(ratio) ? { ratio } : {}),
        }
      }),
    ]
  })
}
