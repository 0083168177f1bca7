// node-media-server.mjs RTMP_PORT HTTP_PORT RECORD_FOLDER: the peer with recording on.
import NodeMediaServer from 'node-media-server'

const [rtmpPort, httpPort, path] = process.argv.slice(2)
const server = new NodeMediaServer({
  bind: '127.0.0.1',
  notify: { url: '' },
  store: { path, maxHistory: 1000 },
  auth: { play: false, publish: false, secret: 'test-secret' },
  rtmp: { port: Number(rtmpPort) },
  http: { port: Number(httpPort) },
  record: { auto: true, path },
})
server.run()
