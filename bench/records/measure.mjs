// What the measuring processes share: the records, the loops, the quantiles.

/** The data of one record: 1 KB with its key. */
const DATA = Buffer.alloc(1000, 'x').toString('base64')

let sequence = 0
/** The operation and input of a put of so many records of 1 KB under keys of all shards. */
export function putOf(batch) {
  const record = () => ({ Data: DATA, PartitionKey: `key ${sequence++ % 10_000}` })
  return batch === 1
    ? { operation: 'PutRecord', input: { StreamName: 's', ...record() } }
    : {
        operation: 'PutRecords',
        input: { StreamName: 's', Records: Array.from({ length: batch }, record) },
      }
}

/** Calls `job` in so many loops for so long. @returns calls and the time each took, sorted */
export async function during(seconds, loops, job) {
  const took = []
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  await Promise.all(
    Array.from({ length: loops }, async (_, loop) => {
      while (performance.now() < endsAt) {
        const from = performance.now()
        await job(loop)
        took.push(performance.now() - from)
      }
    }),
  )
  const wallSeconds = (performance.now() - startedAt) / 1000
  return { calls: took.length, wallSeconds, took: took.sort((a, b) => a - b) }
}

export function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
}

/** What `job`, which returns a number of records, costs the server and this process for each of them. */
export async function costing(server, job) {
  const cpuBefore = server.cpuSeconds()
  const ownBefore = process.cpuUsage()
  const { records, wallSeconds, ...others } = await job()
  const own = process.cpuUsage(ownBefore)
  return {
    ...others,
    perSecond: records / wallSeconds,
    perCpuSecond: records / (server.cpuSeconds() - cpuBefore),
    clientUs: (own.user + own.system) / records,
  }
}
