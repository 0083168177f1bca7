// fan-out.mjs FOLDER SUBSCRIBERS RATE SECONDS: puts RATE records of 100 bytes per second with the time in
// them, in puts of 50, with the lean client; prints {putPerSecond, p50Ms, p99Ms, serverCpu, pushed}: from put
// to push over all subscribers, the share of a core that the server took, the share of records that came.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { createStream, lastString, leanConnection, signedRequest } from './lean-client.mjs'
import { quantile } from './measure.mjs'
import { startRecords } from './servers.mjs'

const BATCH = 50
const [directory, ...numbers] = process.argv.slice(2)
const [subscribers, rate, seconds] = numbers.map(Number)
const server = await startRecords('kinora', directory)
const { port } = server
const control = leanConnection(port)
const call = (operation, input) => control.send(signedRequest(port, operation, input))
await createStream(port, 1)
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
// More than 20 consumers need it.
await call('UpdateAccountSettings', { MinimumThroughputBillingCommitment: { Status: 'ENABLED' } })
const delays = []
let pushed = 0
for (let i = 0; i < subscribers; i++) {
  const answer = await call('RegisterStreamConsumer', { StreamARN, ConsumerName: `c${i}` })
  follow(lastString(answer, 'ConsumerARN'))
}
await delay(500)
const cpuBefore = server.cpuSeconds()
const putter = leanConnection(port)
const startedAt = performance.now()
let puts = 0
while (performance.now() - startedAt < seconds * 1000) {
  const due = startedAt + (puts * BATCH * 1000) / rate
  if (due > performance.now()) await delay(due - performance.now())
  void putter.send(signedRequest(port, 'PutRecords', recordsOf(performance.now())))
  puts += 1
}
await delay(500)
const cpuSeconds = server.cpuSeconds() - cpuBefore
delays.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    putPerSecond: (puts * BATCH) / seconds,
    pushed: pushed / (puts * BATCH * subscribers),
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
    serverCpu: cpuSeconds / (seconds + 0.5),
  }),
)
await server.stop()
process.exit(0)

/** 100 bytes each, with the time of the put in them. */
function recordsOf(time) {
  const Data = Buffer.from(String(time).padEnd(100)).toString('base64')
  return {
    StreamName: 's',
    Records: Array.from({ length: BATCH }, (_, i) => ({ Data, PartitionKey: `key ${i}` })),
  }
}

/** One delay for each event: that of its oldest record. */
function follow(ConsumerARN) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.write(
    signedRequest(port, 'SubscribeToShard', {
      ...{ ConsumerARN, ShardId: 'shardId-000000000000', StartingPosition: { Type: 'LATEST' } },
    }),
  )
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    const now = performance.now()
    const held = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    const end = held.lastIndexOf('"MillisBehindLatest"')
    if (end < 0) {
      rest = held
      return
    }
    let event = true
    for (let at = 0; (at = held.indexOf('"Data":"', at)) >= 0 && at < end; at += 8) {
      pushed += 1
      if (!event) continue
      event = false
      delays.push(now - Number(Buffer.from(held.latin1Slice(at + 8, at + 40), 'base64').toString()))
    }
    rest = Buffer.from(held.subarray(end))
  })
}
