// fan-out-lean.mjs FOLDER SUBSCRIBERS RATE SECONDS: as fan-out.mjs, over HTTP/1.1 and with as little
// work as possible: of each event, only the newest record's time and the number of records are looked at.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile, startService } from './client.mjs'
import { lastString, leanConnection, signedRequest } from './lean-client.mjs'

const BATCH = 50
const [directory, ...numbers] = process.argv.slice(2)
const [subscribers, rate, seconds] = numbers.map(Number)
const service = await startService(directory)
const { port } = service
const control = leanConnection(port)
const call = (operation, input) => control.send(signedRequest(port, operation, input))
await call('CreateStream', { StreamName: 's', ShardCount: 1 })
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
await service.cpuUs()
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
const cpuUs = await service.cpuUs()
service.stop()
delays.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    putPerSecond: (puts * BATCH) / seconds,
    pushed: pushed / (puts * BATCH * subscribers),
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
    serviceCpu: cpuUs / 1e6 / seconds,
  }),
)
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
