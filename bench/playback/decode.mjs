// decode.mjs GOPS INTERVAL_MS: what images cost without a service: the film's GOPs decoded one after the
// other, as far as the last wanted frame. Prints {images, seconds, cpuSeconds}.
import { VideoDecoder } from '../../dist/platform/av.js'
import { readFilm } from './media.mjs'

const [gopCount, intervalMs] = process.argv.slice(2).map(Number)
const { track, gops } = await readFilm()
const samples = gops.map((gop) => gop.filter(({ trackNumber }) => trackNumber === 1))
decode(samples.length) // code is compiled

const cpu = process.cpuUsage()
const from = performance.now()
const images = decode(gopCount)
const seconds = (performance.now() - from) / 1000
const { user, system } = process.cpuUsage(cpu)
console.log(JSON.stringify({ images, seconds, cpuSeconds: (user + system) / 1e6 }))

function decode(count) {
  const decoder = new VideoDecoder(track)
  let wanted = 0
  for (let i = 0; i < count; i++) {
    const gop = samples[i % samples.length]
    const start = gop[0].ptsMs
    const perGop = Math.floor(1999 / intervalMs) + 1
    const lastMs = start + (perGop - 1) * intervalMs
    wanted += perGop
    for (const { ptsMs } of decoder.decode(gop)) if (ptsMs >= lastMs) break
  }
  decoder[Symbol.dispose]()
  return wanted
}
