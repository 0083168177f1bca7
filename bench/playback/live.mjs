// How long a block is on its way: from the moment a producer has written it to the one in which a reader
// has it. A film is sent at its pace, with a number in each picture.
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { clusterStart, concat } from '../../dist/media/matroska/writer.js'
import { blockOf } from './media.mjs'
import { putMediaHeaders } from './servers.mjs'

const MARK = 'kinora-bench-'
const DIGITS = 6
const SAMPLE_BYTES = 16_000

/** @returns milliseconds of every picture, sorted */
export async function measureLive({ film, seconds, producer, reader }) {
  const written = []
  const delays = []
  const reading = open(reader)
  if (reader.body !== undefined) reading.end(JSON.stringify(reader.body))
  else reading.end()
  reading.on('error', () => undefined) // it is broken off at the end
  reading.on('response', (response) => {
    let rest = Buffer.alloc(0)
    response.on('data', (part) => {
      const now = performance.now()
      const bytes = Buffer.concat([rest, part])
      let from = 0
      for (let at; (at = bytes.indexOf(MARK, from, 'latin1')) >= 0;) {
        if (at + MARK.length + DIGITS > bytes.length) break
        from = at + MARK.length + DIGITS
        const number = Number(bytes.toString('latin1', at + MARK.length, from))
        delays.push(now - written[number])
      }
      rest = bytes.subarray(Math.max(from, bytes.length - MARK.length - DIGITS))
    })
    response.on('error', () => undefined)
  })
  await delay(500) // the reader waits at the tip

  const sending = open(producer)
  sending.on('error', () => undefined)
  sending.on('response', (response) => response.resume())
  sending.write(film.header)
  const samples = film.gops.flat()
  const startMs = Date.now()
  const begun = performance.now()
  let cluster = 0
  for (let i = 0; ; i++) {
    const sample = samples[i % samples.length]
    const ms = sample.ptsMs + Math.floor(i / samples.length) * film.lengthMs
    if (ms > seconds * 1000) break
    const wait = begun + ms - performance.now()
    if (wait > 1) await delay(wait)
    const isVideo = sample.trackNumber === 1
    const note = isVideo ? MARK + String(written.length).padStart(DIGITS, '0') : ''
    const start = isVideo && sample.isKey ? [clusterStart(startMs + ms)] : []
    if (start.length > 0) cluster = ms
    sending.write(concat([...start, ...blockOf(sample, ms - cluster, SAMPLE_BYTES, note)]))
    if (isVideo) written.push(performance.now())
  }
  await delay(1000)
  sending.end()
  await delay(500)
  reading.destroy()
  sending.destroy()
  return { sent: written.length, delays: delays.sort((a, b) => a - b) }
}

function open({ port, path, headers, method = 'POST' }) {
  return request({ port, path, headers, method, host: '127.0.0.1', agent: false })
}

export function kinesisEnds(port, stream) {
  return {
    producer: { port, path: '/putMedia', headers: putMediaHeaders(stream) },
    reader: {
      ...{ port, path: '/getMedia', headers: { 'content-type': 'application/json' } },
      body: { StreamName: stream, StartSelector: { StartSelectorType: 'NOW' } },
    },
  }
}

export function relayEnds(port) {
  return {
    producer: { port, path: '/in', headers: {} },
    reader: { port, path: '/out', headers: {}, method: 'GET' },
  }
}
