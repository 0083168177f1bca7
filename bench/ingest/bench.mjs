// What one stream costs: CPU, memory and write calls of the server while N publishers send in real
// time. Each server does what it can: Kinora archives, indexes and is HLS-ready; nginx-rtmp records FLV
// and cuts HLS; node-media-server records FLV; the floor appends what comes to files. All run one after
// the other on the same machine with the same publishers: FFmpeg's, as most encoders are, up to thirty;
// for a hundred, whose threads would take the machine, ones without FFmpeg that write fewer and larger
// pieces, which makes a server's reads cheaper (the floor has them always). RTSP is pushed by the ffmpeg
// command, ten outputs a process.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { publishFile } from '../../dist/platform/av/publish-file.js'
import { systemClock } from '../../dist/platform/clock.js'
import {
  floor,
  hasNginx,
  hasNodeMediaServer,
  kinora,
  kinoraRtsp,
  nginx,
  nodeMediaServer,
} from './peers.mjs'
import { readUsage } from './process-usage.mjs'
import { median } from './server.mjs'

const CLIP = fileURLToPath(new URL('../../fixtures/moving-shapes.mp4', import.meta.url))
const LIGHT_PUBLISHERS = fileURLToPath(new URL('publishers.mjs', import.meta.url))
const FFMPEG_PUBLISHERS = fileURLToPath(new URL('ffmpeg-publishers.mjs', import.meta.url))
const MOST_FFMPEG_PUBLISHERS = 30
const OUTPUTS_PER_FFMPEG = 10
/** A process's first seconds are its start; then this long for what it takes by itself. */
const IDLE_MS = 4_000
/** All are connected, their first fragments are stored, the code of Node's servers is compiled. */
const WARM_UP_MS = 25_000

export async function run({ quick, note }) {
  const counts = quick ? [10] : [10, 30, 100]
  const seconds = quick ? 6 : 20
  const rounds = quick ? 1 : 3
  const peers = [
    kinora,
    ...(hasNodeMediaServer() ? [nodeMediaServer] : []),
    ...(hasNginx() ? [nginx] : []),
    floor,
    ...(hasFfmpeg() ? [kinoraRtsp] : []),
  ]
  if (!hasNodeMediaServer()) note('node-media-server is not installed: left out')
  if (!hasNginx()) note('nginx with its RTMP module is not installed: left out')
  if (!hasFfmpeg()) note('ffmpeg is not installed: RTSP is left out')

  const scratch = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  try {
    const flv = join(scratch, 'clip.flv')
    const options = { path: CLIP, url: flv, rounds: 1, realtime: false, maxSeconds: 60 }
    await publishFile(options, systemClock, new AbortController().signal)
    const rows = []
    for (const streams of counts) {
      /** title -> one measurement per round; the rounds take turns, so that drift hits all alike. */
      const results = new Map(peers.map((peer) => [peer.title, []]))
      for (let round = 0; round < rounds; round++) {
        for (const peer of peers) {
          note(`round ${round + 1}/${rounds}: ${peer.title}, ${streams} streams, ${seconds} s`)
          results.get(peer.title).push(await measure(peer, { streams, seconds, flv }))
        }
      }
      rows.push(...toRows(results, streams))
    }
    return rows
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function measure(peer, { streams, seconds, flv }) {
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  const server = await peer.start(directory, streams)
  let publishers = []
  try {
    await delay(2000)
    const started = readUsage(server.pid)
    await delay(IDLE_MS)
    const idle = readUsage(server.pid)
    const idleCpu = (idle.cpuSeconds - started.cpuSeconds) / ((idle.at - started.at) / 1000)
    publishers = startPublishers(server.url, { streams, flv })
    await delay(WARM_UP_MS + 40 * streams)
    const filesBefore = await server.countFileWrites?.()
    const before = readUsage(server.pid)
    await delay(seconds * 1000)
    const after = readUsage(server.pid)
    const filesAfter = await server.countFileWrites?.()
    if (publishers.some(({ exitCode }) => exitCode !== null)) {
      throw new Error(`the publishers to ${peer.title} stopped`)
    }
    const elapsed = (after.at - before.at) / 1000
    return {
      cpuPercent: (((after.cpuSeconds - before.cpuSeconds) / elapsed - idleCpu) / streams) * 100,
      memoryMB: (after.residentBytes - idle.residentBytes) / 1e6 / streams,
      writesPerSecond: (after.writeCalls - before.writeCalls) / elapsed / streams,
      fileWritesPerSecond:
        filesAfter === undefined ? null : (filesAfter - filesBefore) / elapsed / streams,
      diskMBps: (after.writtenBytes - before.writtenBytes) / 1e6 / elapsed,
    }
  } finally {
    for (const publisher of publishers) publisher.kill('SIGKILL')
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

function startPublishers(url, { streams, flv }) {
  const stdio = ['ignore', 'ignore', 'inherit']
  if (!url.startsWith('rtsp:')) {
    const isLight = streams > MOST_FFMPEG_PUBLISHERS || url.startsWith('tcp:')
    const [program, file] = isLight ? [LIGHT_PUBLISHERS, flv] : [FFMPEG_PUBLISHERS, CLIP]
    const env = { ...process.env, UV_THREADPOOL_SIZE: '64' } // FFmpeg's network holds a thread each
    return [spawn(process.execPath, [program, file, String(streams), url], { stdio, env })]
  }
  const outputs = Array.from({ length: streams }, (_, i) => [
    ...['-map', '0', '-c', 'copy', '-f', 'rtsp', '-rtsp_transport', 'tcp'],
    url.replaceAll('#', String(i)),
  ])
  const input = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', CLIP]
  // One process connects its outputs one after the other.
  return Array.from({ length: Math.ceil(streams / OUTPUTS_PER_FFMPEG) }, (_, i) => {
    const own = outputs.slice(i * OUTPUTS_PER_FFMPEG, (i + 1) * OUTPUTS_PER_FFMPEG)
    return spawn('ffmpeg', [...input, ...own.flat()], { stdio })
  })
}

function hasFfmpeg() {
  return spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' }).error === undefined
}

function toRows(results, streams) {
  const MEASURES = [
    ['cpuPercent', 'CPU per stream above idle', '% of a core'],
    ['memoryMB', 'memory per stream above idle', 'MB'],
    ['writesPerSecond', 'write calls per stream (sockets and wake-ups included)', '/s'],
    ['fileWritesPerSecond', 'write calls to chunks and indexes per stream', '/s'],
    ['diskMBps', 'written', 'MB/s'],
  ]
  const own = results.get(kinora.title)
  return MEASURES.flatMap(([key, measure, unit]) => {
    const name = `${streams} streams, ${measure}`
    const value = median(own.map((sample) => sample[key]))
    const peers = [...results].filter(
      ([title, samples]) => title !== kinora.title && samples[0][key] !== null,
    )
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
