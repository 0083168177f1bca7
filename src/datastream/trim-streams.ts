import { rm } from 'node:fs/promises'
import type { OpenStream } from './open-stream.ts'
import type { Shard } from './shard.ts'
import { folderOfShard, type StoreParts } from './store-parts.ts'
import { expiredShardBatch, horizonOf, shardGarbageGoneBatch } from './stream-rows.ts'

/**
 * Removes what has expired, and accounts for what is left, at the start and every so often until told to
 * stop. Never rejects.
 */
export async function trimForever(
  parts: StoreParts,
  streams: () => Iterable<OpenStream>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      for (const stream of streams()) {
        signal.throwIfAborted()
        await account(parts, stream)
      }
      await parts.clock.sleep(parts.options.trimIntervalMs, signal)
      for (const stream of streams()) {
        signal.throwIfAborted()
        await trim(parts, stream)
      }
    }
  } catch (error) {
    if (!signal.aborted) parts.log.error({ err: error }, 'trimming ended')
  }
}

async function account(parts: StoreParts, stream: OpenStream): Promise<void> {
  try {
    const bytes = await storedBytesOf(stream)
    if (!stream.gone.signal.aborted) parts.measure.stored(stream, bytes)
  } catch (error) {
    if (stream.gone.signal.aborted) return
    parts.log.warn({ stream: stream.row.name, err: error }, 'a stream could not be measured')
  }
}

export async function storedBytesOf(stream: OpenStream): Promise<number> {
  return stream.whileThere(async () => {
    let bytes = 0
    for (const { log } of stream.shards) bytes += await log.storedBytes()
    return bytes
  })
}

async function trim(parts: StoreParts, stream: OpenStream): Promise<void> {
  const horizon = horizonOf(stream.row, parts.clock.now())
  for (const shard of stream.shards) {
    try {
      const { closedAt } = shard.row
      if (closedAt !== null && closedAt < horizon) await removeShard(parts, stream, shard)
      else await shard.log.trimBefore(horizon)
    } catch (error) {
      if (stream.gone.signal.aborted) return
      const { shardId } = shard.info
      parts.log.warn({ stream: stream.row.name, shardId, err: error }, 'trimming failed')
    }
  }
}

/**
 * Of a closed shard whose last record has expired. 1. its row goes and the garbage row comes, in one
 * step; 2. the files; 3. the garbage row. A crash after 1 is finished by the next start.
 */
async function removeShard(parts: StoreParts, stream: OpenStream, shard: Shard): Promise<void> {
  const { createdAt } = stream.row
  const { number } = shard.row
  if (!(await parts.meta.commit(expiredShardBatch(stream.row, shard.row)))) return
  stream.forget(shard)
  parts.measure.shardGone(stream, shard.info.shardId)
  await shard[Symbol.asyncDispose]()
  await rm(folderOfShard(parts, createdAt, number), { recursive: true, force: true })
  await parts.meta.commit(shardGarbageGoneBatch(createdAt, number))
}
