// ffmpeg-publishers.mjs FILE COUNT URL: publishes the file COUNT times at once in real time, in a loop,
// until killed (at most five minutes). '#' in the URL becomes the publisher's number.
import { publishFile } from '../../dist/platform/av/publish-file.js'
import { systemClock } from '../../dist/platform/clock.js'

const [path, count, url] = process.argv.slice(2)
const signal = new AbortController().signal
await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    await systemClock.sleep((i * 2000) / Number(count), signal) // key frames are spread over a GOP
    const options = {
      path,
      url: url.replace('#', i),
      rounds: Infinity,
      realtime: true,
      maxSeconds: 300,
    }
    return publishFile(options, systemClock, signal)
  }),
)
