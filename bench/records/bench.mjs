// Records through the Kinesis API: one service and one client process (the AWS SDK, HTTP/2, one shared
// connection), against the raw log under it without HTTP and without numbers, in turns, on one disk.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needBuild, runChild } from '../archive/child.mjs'

const PUT_BUDGET = 100_000
const GET_BUDGET = 150_000
const PUSH_BUDGET_MS = 50

export async function run({ quick, note }) {
  needBuild()
  const seconds = quick ? 2 : 8
  const rows = []
  for (const shards of quick ? [1, 8] : [1, 8, 64]) {
    for (const batch of [1, 100, 500]) {
      note(`put: ${shards} shards, batches of ${batch}`)
      const raw = await child('raw.mjs', shards, batch, seconds)
      const put = await child('put.mjs', shards, batch, seconds)
      const name = `${batch === 1 ? 'PutRecord' : `PutRecords of ${batch}`}, 1 KB, ${shards} shards`
      const budget = batch === 500 ? verdict(put.perSecond >= PUT_BUDGET, PUT_BUDGET, '/s') : ''
      rows.push(
        { name: `${name}${budget}`, value: put.perSecond, unit: 'records/s' },
        { name: '  answer, p99', value: put.p99Ms, unit: 'ms' },
        { name: '  CPU of the service per record', value: put.serviceCpuUs, unit: 'us' },
        {
          name: '  the same into the raw log',
          ...{ value: raw.perSecond, unit: 'records/s', peer: 'raw log' },
          ratio: put.perSecond / raw.perSecond,
        },
      )
    }
  }
  note('get')
  const get = await child('get.mjs', 4, seconds)
  rows.push({
    name: `GetRecords, 1 KB${verdict(get.perSecond >= GET_BUDGET, GET_BUDGET, '/s')}`,
    ...{ value: get.perSecond, unit: 'records/s' },
  })
  for (const subscribers of quick ? [1, 10] : [1, 10, 50]) {
    note(`fan-out to ${subscribers}`)
    const push = await child('fan-out.mjs', subscribers, 5000, seconds)
    const budget = verdict(push.p99Ms < PUSH_BUDGET_MS, PUSH_BUDGET_MS, ' ms')
    const name = `put to push, ${subscribers} subscribers, ${Math.round(push.putPerSecond)} records/s`
    rows.push(
      { name: `${name}, p50`, value: push.p50Ms, unit: 'ms' },
      { name: `${name}, p99${budget}`, value: push.p99Ms, unit: 'ms' },
    )
  }
  return rows
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
