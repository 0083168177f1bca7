// publish.mjs FILE URL [--realtime] [--rounds N] [--seconds N]: FFmpeg's FLV muxer and RTMP client as
// a publisher in a process of its own; as fast as the peer takes it unless --realtime.
import { parseArgs } from 'node:util'
import { publishFile } from '../../dist/platform/av/publish-file.js'
import { systemClock } from '../../dist/platform/clock.js'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    realtime: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: 'Infinity' },
  },
})
const [path, url] = positionals
const options = {
  path,
  url,
  rounds: Number(values.rounds),
  realtime: values.realtime,
  maxSeconds: Number(values.seconds),
}
await publishFile(options, systemClock, new AbortController().signal)
