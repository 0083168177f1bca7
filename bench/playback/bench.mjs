// What playback costs: media out of the service (GetMedia, GetClip, HLS), in MB per second of its CPU,
// to 1, 10 and 100 readers, against nginx that serves the same bytes as files; how long a live block is
// on its way, against a bare relay; images per second, against bare decoding. Everything from the page
// cache, over HTTP on loopback, the client in a process of its own.
import { execFile } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { needBuild, runChild } from '../archive/child.mjs'
import { freePort, median, startServer } from '../ingest/server.mjs'
import { kinesisEnds, measureLive, relayEnds } from './live.mjs'
import { fragments, readFilm } from './media.mjs'
import { putFilm } from './put.mjs'
import { call, hasNginx, startKinora, startNginx } from './servers.mjs'

const READERS = [1, 10, 100]
/** 2 Mbit/s: 30 pictures in two seconds. */
const VIDEO_SAMPLE_BYTES = 16_000
const CLIENT = fileURLToPath(new URL('client.mjs', import.meta.url))
const RELAY = fileURLToPath(new URL('relay.mjs', import.meta.url))

export async function run({ quick, note }) {
  needBuild()
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  const started = []
  try {
    const film = await readFilm()
    const kinora = await startKinora(directory, ['big', 'film', 'live'])
    started.push(kinora)
    const startMs = Math.floor(Date.now() / 1000) * 1000 - 3_600_000
    const count = quick ? 60 : 120
    note(`storing ${count} fragments of 0.5 MB`)
    const big = fragments(film, { count, startMs, videoSampleBytes: VIDEO_SAMPLE_BYTES })
    await putFilm(kinora.port, 'big', film.header, big)
    await putFilm(kinora.port, 'film', film.header, fragments(film, { count: 60, startMs }))

    const rows = []
    const nginx = hasNginx() ? await startNginx(directory) : null
    if (nginx === null) note('nginx is not installed: without it')
    else started.push(nginx)
    rows.push(...(await measureMedia({ kinora, nginx, directory, startMs, count, quick, note })))
    rows.push(...(await measureDelays({ kinora, film, quick, note })))
    rows.push(...(await measureImages({ kinora, startMs, quick, note })))
    return rows
  } finally {
    for (const server of started.reverse()) await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measureMedia({ kinora, nginx, directory, startMs, count, quick, note }) {
  const range = {
    FragmentSelectorType: 'PRODUCER_TIMESTAMP',
    TimestampRange: {
      StartTimestamp: startMs / 1000 - 1,
      EndTimestamp: startMs / 1000 + count * 2,
    },
  }
  const { Fragments } = await (
    await call(kinora.port, 'listFragments', {
      ...{ StreamName: 'big', MaxResults: 1000, FragmentSelector: range },
    })
  ).json()
  const mediaBytes = Fragments.reduce((sum, each) => sum + each.FragmentSizeInBytes, 0)
  const clip = Buffer.from(
    await (
      await call(kinora.port, 'getClip', { StreamName: 'big', ClipFragmentSelector: range })
    ).arrayBuffer(),
  )
  const segments = Fragments.map(
    ({ FragmentNumber }) => `/streams/big/hls/segment-${FragmentNumber}.m4s`,
  )

  const files = join(directory, 'files')
  if (nginx !== null) {
    writeFileSync(join(files, 'answer.mkv'), await firstBytes(kinora.port, mediaBytes))
    writeFileSync(join(files, 'clip.mp4'), clip)
    mkdirSync(join(files, 'streams/big/hls'), { recursive: true })
    for (const path of segments) {
      const response = await fetch(`http://127.0.0.1:${kinora.port}${path}`)
      writeFileSync(join(files, path), Buffer.from(await response.arrayBuffer()))
    }
  }

  const get = (path, limit) => ({ text: `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, limit })
  const post = (operation, input, limit) => ({ text: postText(operation, input), limit })
  const start = { StreamName: 'big', StartSelector: { StartSelectorType: 'EARLIEST' } }
  const ways = [
    {
      name: 'GetMedia',
      kinora: [post('getMedia', start, mediaBytes)],
      nginx: [get('/answer.mkv', mediaBytes)],
    },
    {
      name: 'GetClip',
      kinora: [
        post('getClip', { StreamName: 'big', ClipFragmentSelector: range }, clip.length * 0.99),
      ],
      nginx: [get('/clip.mp4', clip.length * 0.99)],
    },
    {
      name: 'HLS segments',
      kinora: segments.map((path) => get(path)),
      nginx: segments.map((path) => get(path)),
    },
  ]
  const rows = []
  const total = (quick ? 500 : 2000) * 1e6
  const rounds = quick ? 2 : 5
  for (const way of ways) {
    for (const readers of READERS) {
      note(`${way.name}, ${readers} readers`)
      const found = { kinora: [], nginx: [] }
      for (let round = 0; round <= rounds; round++) {
        for (const [name, server] of Object.entries({ kinora, nginx })) {
          if (server === null) continue
          const rate = await mbPerCpuSecond(server, way[name], { readers, total })
          if (round > 0) found[name].push(rate) // the first compiles the code
        }
      }
      const value = median(found.kinora)
      rows.push({ name: `${way.name}, ${readers} readers`, value, unit: 'MB/CPU-s' })
      if (found.nginx.length === 0) continue
      const peer = 'nginx, the same bytes as files'
      const ratio = median(found.kinora.map((rate, i) => rate / found.nginx[i]))
      rows.push({
        ...{ name: `${way.name}, ${readers} readers: nginx`, value: median(found.nginx) },
        ...{ unit: 'MB/CPU-s', peer, ratio },
      })
    }
  }
  return rows
}

async function mbPerCpuSecond(server, requests, { readers, total }) {
  // Each begins elsewhere, so that not all ask for the same at a time.
  const shifted = (i) => {
    const at = Math.floor((i * requests.length) / readers)
    return [...requests.slice(at), ...requests.slice(0, at)]
  }
  const question = {
    ...{ port: server.port, bytes: total / readers },
    readers: Array.from({ length: readers }, (_, i) => shifted(i)),
  }
  const before = server.cpuSeconds()
  const reading = promisify(execFile)(process.execPath, [CLIENT])
  reading.child.stdin.end(JSON.stringify(question))
  const bytes = Number((await reading).stdout)
  return bytes / 1e6 / (server.cpuSeconds() - before)
}

async function firstBytes(port, length) {
  const start = { StreamName: 'big', StartSelector: { StartSelectorType: 'EARLIEST' } }
  const { body } = await call(port, 'getMedia', start)
  const parts = []
  let had = 0
  for await (const part of body) {
    parts.push(part)
    had += part.length
    if (had >= length) break
  }
  return Buffer.concat(parts)
}

function postText(operation, input) {
  const body = JSON.stringify(input)
  return (
    `POST /${operation} HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`
  )
}

async function measureDelays({ kinora, film, quick, note }) {
  const seconds = quick ? 6 : 20
  const port = await freePort()
  const relay = await startServer(process.execPath, [RELAY, String(port)], port)
  try {
    note(`live delay, ${2 * seconds} s`)
    const ours = await measureLive({ film, seconds, ...kinesisEnds(kinora.port, 'live') })
    const bare = await measureLive({ film, seconds, ...relayEnds(port) })
    for (const { sent, delays } of [ours, bare]) {
      if (delays.length < sent * 0.9) throw new Error(`${delays.length} of ${sent} pictures came`)
    }
    const peer = 'bare relay in Node'
    return [
      ['p50', 0.5],
      ['p99', 0.99],
    ].flatMap(([label, share]) => {
      const at = ({ delays }) => delays[Math.floor((delays.length - 1) * share)]
      const name = `PutMedia to GetMedia, a picture, ${label}`
      return [
        { name, value: at(ours), unit: 'ms' },
        { name: `${name}: relay`, value: at(bare), unit: 'ms', peer, ratio: at(ours) / at(bare) },
      ]
    })
  } finally {
    await relay.stop()
  }
}

const FILM_GOPS = 60

async function measureImages({ kinora, startMs, quick, note }) {
  const rounds = quick ? 3 : 9
  const rows = []
  for (const intervalMs of [2000, 200]) {
    const found = { ours: [], bare: [] }
    note(`images every ${intervalMs} ms`)
    for (let round = 0; round <= rounds; round++) {
      const bare = await runChild('../playback/decode.mjs', FILM_GOPS, intervalMs)
      // Another quality each time: images are kept for who asks again.
      const ours = await askForImages(kinora, { startMs, intervalMs, quality: 60 + round })
      if (round === 0) continue
      found.bare.push(bare)
      found.ours.push(ours)
    }
    const perSecond = ({ images, seconds }) => images / seconds
    const perCpu = ({ images, cpuSeconds }) => images / cpuSeconds
    const peer = 'bare decoding, nothing encoded'
    for (const [unit, of] of [
      ['images/s', perSecond],
      ['images/CPU-s', perCpu],
    ]) {
      const name = `GetImages, JPEG, every ${intervalMs} ms`
      rows.push({ name, value: median(found.ours.map(of)), unit })
      rows.push({
        ...{ name: `${name}: decoding`, value: median(found.bare.map(of)), unit, peer },
        ratio: median(found.ours.map((each, i) => of(each) / of(found.bare[i]))),
      })
    }
  }
  return rows
}

async function askForImages({ port, cpuSeconds }, { startMs, intervalMs, quality }) {
  const from = performance.now()
  const before = cpuSeconds()
  const question = {
    ...{ StreamName: 'film', ImageSelectorType: 'PRODUCER_TIMESTAMP', Format: 'JPEG' },
    StartTimestamp: startMs / 1000,
    EndTimestamp: startMs / 1000 + FILM_GOPS * 2 - 0.001,
    SamplingInterval: intervalMs,
    FormatConfig: { JPEGQuality: String(quality) },
  }
  let images = 0
  let NextToken
  do {
    const response = await call(port, 'getImages', { ...question, NextToken })
    const page = await response.json()
    images += page.Images.filter(({ ImageContent }) => ImageContent !== undefined).length
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  const seconds = (performance.now() - from) / 1000
  return { images, seconds, cpuSeconds: cpuSeconds() - before }
}
