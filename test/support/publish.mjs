// publish.mjs FILE URL SECONDS realtime|fast: FFmpeg's FLV muxer and RTMP client as a publisher.
import { publishFile } from '../../dist/platform/av/publish-file.js'
import { systemClock } from '../../dist/platform/clock.js'

const [path, url, seconds, pace] = process.argv.slice(2)
const options = {
  path,
  url,
  loop: true,
  realtime: pace === 'realtime',
  maxSeconds: Number(seconds),
}
await publishFile(options, systemClock, new AbortController().signal)
