// The servers that are measured, each doing what it can with a stream: how to start one in a folder,
// and the URL that publishers are given, with '#' for a publisher's number.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, startServer } from './server.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const KEY = 'bench-test-key'

async function startKinora(directory, streams) {
  const [rtmpPort, rtspPort, httpPort] = [await freePort(), await freePort(), await freePort()]
  const config = join(directory, 'kinora.yaml')
  const list = Array.from({ length: streams }, (_, i) => `{name: s${i}, publishKey: ${KEY}}`)
  writeFileSync(
    config,
    `dataDirectory: ${directory}/data\nlog: {level: warn}\nhttp: {port: ${httpPort}}\n` +
      `rtmp: {port: ${rtmpPort}}\nrtsp: {port: ${rtspPort}}\ndetection: {enabled: false}\n` +
      `streams: [${list.join(', ')}]\n`,
  )
  const server = await startServer(
    process.execPath,
    [join(root, 'bin/kinora.cjs'), 'serve', '--config', config],
    rtmpPort,
  )
  const countFileWrites = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
    return Number(/^kinora_archive_writes_total (\d+)$/m.exec(metrics)[1])
  }
  return { server: { ...server, countFileWrites }, rtmpPort, rtspPort }
}

export const kinora = {
  title: 'Kinora',
  async start(directory, streams) {
    const { server, rtmpPort } = await startKinora(directory, streams)
    return { ...server, url: `rtmp://127.0.0.1:${rtmpPort}/live/s#?key=${KEY}` }
  },
}

export const kinoraRtsp = {
  title: 'Kinora, RTSP over TCP',
  async start(directory, streams) {
    const { server, rtspPort } = await startKinora(directory, streams)
    return { ...server, url: `rtsp://s#:${KEY}@127.0.0.1:${rtspPort}/live/s#` }
  },
}

export const nodeMediaServer = {
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

export const nginx = {
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

export const floor = {
  title: 'the floor (sockets to files)',
  async start(directory) {
    const port = await freePort()
    const program = fileURLToPath(new URL('floor.mjs', import.meta.url))
    const server = await startServer(process.execPath, [program, String(port), directory], port)
    return { ...server, url: `tcp://127.0.0.1:${port}/#` }
  },
}

export function hasNginx() {
  return existsSync(NGINX_MODULE)
}

export function hasNodeMediaServer() {
  return existsSync(fileURLToPath(new URL('../node_modules/node-media-server', import.meta.url)))
}
