// Records through the Kinesis API: one server process and one client process, in turns with the peers and
// with the raw log under it without HTTP and without numbers, on one disk. The lean client shows what the server
// can do; the SDK's row, what one client process with it can.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needBuild, runChild } from '../archive/child.mjs'
import { hasServer } from './servers.mjs'

const PUT_BUDGET = 100_000
const GET_BUDGET = 150_000
const PUSH_BUDGET_MS = 50
const PEERS = ['kinesalite', 'kinesis-local']

export async function run({ quick, note }) {
  needBuild()
  const seconds = quick ? 2 : 6
  const peers = PEERS.filter(hasServer)
  const rows = []
  for (const shards of quick ? [8] : [1, 8, 64]) {
    for (const batch of quick ? [1, 500] : [1, 100, 500]) {
      note(`put: ${shards} shards, batches of ${batch}`)
      rows.push(...(await putRows({ shards, batch, seconds, peers: shards === 8 ? peers : [] })))
    }
  }
  note('get')
  rows.push(...(await getRows(seconds, peers)))
  for (const subscribers of quick ? [1, 10] : [1, 10, 50]) {
    note(`fan-out to ${subscribers}`)
    rows.push(...(await pushRows(subscribers, seconds)))
  }
  return rows
}

async function putRows({ shards, batch, seconds, peers }) {
  const put = (server, client) => child('put.mjs', server, client, shards, batch, seconds)
  const lean = await put('kinora', 'lean')
  const raw = await child('raw.mjs', shards, batch, seconds)
  const operation = batch === 1 ? 'PutRecord' : `PutRecords of ${batch}`
  const budget = batch === 500 ? verdict(lean.perSecond >= PUT_BUDGET, PUT_BUDGET, '/s') : ''
  const rows = [
    {
      name: `${operation}, 1 KB, ${shards} shards${budget}`,
      ...{ value: lean.perSecond, unit: 'records/s' },
    },
    ...costRows(lean),
    { name: '  answer, p99', value: lean.p99Ms, unit: 'ms' },
    comparison('into the raw log', raw.perSecond, lean.perSecond),
  ]
  if (shards === 8) {
    const sdk = await put('kinora', 'sdk')
    rows.push(
      { name: '  with the SDK as client', value: sdk.perSecond, unit: 'records/s' },
      { name: '    CPU of the client', value: sdk.clientUs, unit: 'us/record' },
    )
  }
  for (const peer of peers) {
    const other = await put(peer, 'lean')
    rows.push(comparison(peer, other.perSecond, lean.perSecond))
  }
  return rows
}

async function getRows(seconds, peers) {
  const get = await child('get.mjs', 'kinora', 4, seconds)
  const rows = [
    {
      name: `GetRecords, 1 KB${verdict(get.perSecond >= GET_BUDGET, GET_BUDGET, '/s')}`,
      ...{ value: get.perSecond, unit: 'records/s' },
    },
    ...costRows(get),
  ]
  for (const peer of peers) {
    const other = await child('get.mjs', peer, 4, seconds)
    rows.push(comparison(peer, other.perSecond, get.perSecond))
  }
  return rows
}

async function pushRows(subscribers, seconds) {
  const push = await child('fan-out.mjs', subscribers, 5000, seconds)
  const budget = verdict(push.p99Ms < PUSH_BUDGET_MS, PUSH_BUDGET_MS, ' ms')
  const name = `put to push, ${subscribers} subscribers, ${Math.round(push.putPerSecond)} records/s`
  return [
    { name: `${name}, p50`, value: push.p50Ms, unit: 'ms' },
    { name: `  p99${budget}`, value: push.p99Ms, unit: 'ms' },
    { name: '  CPU of the server', value: push.serverCpu, unit: 'cores' },
  ]
}

function costRows({ perCpuSecond, clientUs }) {
  return [
    { name: '  per second of CPU of the server', value: perCpuSecond, unit: 'records' },
    { name: '  CPU of the client', value: clientUs, unit: 'us/record' },
  ]
}

function comparison(peer, theirs, ours) {
  return {
    name: `  ${peer}`,
    ...{ value: theirs, unit: 'records/s', peer, ratio: ours / theirs },
  }
}

async function child(script, ...args) {
  const directory = mkdtempSync(join(tmpdir(), 'kinora-bench-'))
  try {
    return await runChild(`../records/${script}`, directory, ...args)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function verdict(kept, budget, unit) {
  return ` (budget ${budget}${unit}: ${kept ? 'kept' : 'MISSED'})`
}
