import type { DataStreams, StoredRecord } from '../../src/datastream/index.ts'

const LIMITS = { maxRecords: 7, maxBytes: 10 << 20 }

/** Reads as a consumer does: every shard to its end, parents before children. */
export async function readLineage(streams: DataStreams, stream: string): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  const done = new Set<string>()
  const ready = () =>
    streams
      .describe(stream)
      .shards.filter(
        ({ shardId, parentShardId, adjacentParentShardId }) =>
          !done.has(shardId) &&
          [parentShardId, adjacentParentShardId].every((id) => id === null || done.has(id)),
      )
  for (let round = ready(); round.length > 0; round = ready()) {
    for (const { shardId } of round) {
      let position = await streams.seek(stream, shardId, { type: 'TRIM_HORIZON' })
      for (;;) {
        const read = await streams.read(position, LIMITS)
        records.push(...read.records)
        if (read.next === null || read.millisBehindLatest === 0) break
        position = read.next
      }
      done.add(shardId)
    }
  }
  return records
}
