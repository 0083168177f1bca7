import { isDeepStrictEqual } from 'node:util'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { MetaBatch, MetaKey, MetaRange, MetaStore } from '../platform/meta-store.ts'
import {
  chunkKey,
  gapKeys,
  gapPrefix,
  MAX_TIMESTAMP_MS,
  openKey,
  removingKey,
  timeKey,
  toKeyRange,
  toLengthClass,
  toTimeKey,
} from './catalogue-keys.ts'
import type { ChunkSpan, ClockName, ClockRange, TimeSpan } from './chunk-span.ts'
import { growEvicted, type GapMark, type GapRecord, type OpenGap } from './gap-mark.ts'
import { MAX_FRAGMENTS_PER_CHUNK } from './rotation.ts'
import { lengthClassesOf, overlappingRows, type TimeRow } from './time-rows.ts'

/** A chunk in the catalogue. Its row is on disk before its file is created. */
export type ChunkRow = {
  readonly chunkId: string
  /** Of the chunk file, relative to the archive's directory. */
  readonly path: string
  readonly firstCounter: number
  /** The sequence that its first persisted fragment has, and the discontinuities before it. */
  readonly firstSequence: number
  readonly discontinuitiesBefore: number
  readonly openedAt: EpochMs
  readonly headerBytes: number
} & (
  | { readonly state: 'open' }
  | {
      readonly state: 'finished'
      /** Length of the chunk file. */
      readonly bytes: number
      readonly span: ChunkSpan
    }
)
export type OpenChunkRow = Extract<ChunkRow, { state: 'open' }>
export type FinishedChunk = Extract<ChunkRow, { state: 'finished' }>

/** Where a stream's numbering goes on when it has no chunks left, and its sums. */
export type StreamRow = {
  readonly nextCounter: number
  /** No number from here on was ever given out. */
  readonly counterCeiling: number
  readonly nextSequence: number
  readonly discontinuitySequence: number
  /** Of finished chunks. */
  readonly chunks: number
  readonly bytes: number
  /** Every class that the stream's time rows are of, perhaps more; absent: unknown. */
  readonly classes?: TimeClasses
  /** Gap rows, by one clock; absent: none. */
  readonly gaps?: number
  /** The newest mark of media that went for lack of space; the next one may lengthen it. */
  readonly evicted?: GapMark
}

type TimeClasses = { readonly [by in ClockName]: readonly number[] }

export type GarbageRow = {
  readonly streamId: StreamId
  readonly path: string
  readonly key: MetaKey
}

/** Of a stream: with more, the oldest go, and their gaps have no known reason any more. */
const MAX_GAPS = 2000

const MAX_COUNTER = Number.MAX_SAFE_INTEGER - 1

const NO_CLASSES: TimeClasses = { server: [], producer: [] }

const NEW_STREAM: StreamRow = {
  nextCounter: 1, // as the service counts
  counterCeiling: 1,
  nextSequence: 0,
  discontinuitySequence: 0,
  chunks: 0,
  bytes: 0,
  classes: NO_CLASSES,
}

/**
 * The chunks of all streams in the MetaStore:
 *
 * ```
 * archive stream   <streamId>                                -> StreamRow
 * archive chunk    <streamId> <firstCounter>                 -> ChunkRow
 * archive open     <streamId> <firstCounter>                 -> true, while the chunk is open
 * archive server   <streamId> <class> <from> <firstCounter>  -> to
 * archive producer <streamId> <class> <from> <firstCounter>  -> to
 * archive garbage  <streamId> <firstCounter>                 -> path of files to unlink
 * archive gap <streamId>                                     -> OpenGap, while nothing comes
 * archive gap-server   <streamId> <class> <from> ...         -> GapMark
 * archive gap-producer <streamId> <class> <from> ...         -> GapMark
 * archive removing <streamId>                                -> true, until all of it is gone
 * ```
 *
 * A time row's class is the binary logarithm of its length, rounded up. What overlaps an instant
 * then begins at most 2^class before it, in each class that occurs: a chunk whose producer's clock
 * jumped by years is one row in a class of its own and makes no other search longer.
 */
export class Catalogue {
  readonly #meta: MetaStore
  /** Changes to one stream run one after the other, because they add to its sums. */
  readonly #turns = new Map<StreamId, Promise<unknown>>()

  constructor(meta: MetaStore) {
    this.#meta = meta
  }

  stream(streamId: StreamId): StreamRow {
    return this.#meta.get<StreamRow>(['archive', 'stream', streamId]) ?? NEW_STREAM
  }

  chunk(streamId: StreamId, firstCounter: number): ChunkRow | null {
    return this.#meta.get<ChunkRow>(chunkKey(streamId, firstCounter))
  }

  async streams(): Promise<readonly StreamId[]> {
    const streamIds: StreamId[] = []
    for await (const { key } of this.#meta.entries({ prefix: ['archive', 'stream'] })) {
      streamIds.push(key[2] as StreamId)
    }
    return streamIds
  }

  /** The only chunk that may hold this counter. */
  async chunkOf(streamId: StreamId, counter: number): Promise<ChunkRow | null> {
    const before = [Math.min(counter, MAX_COUNTER) + 1]
    const range = { prefix: ['archive', 'chunk', streamId], before, reverse: true, limit: 1 }
    for await (const { value } of this.#meta.entries<ChunkRow>(range)) return value
    return null
  }

  /** From the chunk that may hold this counter onwards. */
  async *chunksFrom(streamId: StreamId, counter: number): AsyncGenerator<ChunkRow> {
    const first = await this.chunkOf(streamId, counter)
    if (first !== null) yield first
    const from = [first === null ? 0 : first.firstCounter + 1]
    const range = { prefix: ['archive', 'chunk', streamId], from }
    for await (const { value } of this.#meta.entries<ChunkRow>(range)) yield value
  }

  /** Newest first. */
  async *chunksBackwards(streamId: StreamId): AsyncGenerator<ChunkRow> {
    const range = { prefix: ['archive', 'chunk', streamId], reverse: true }
    for await (const { value } of this.#meta.entries<ChunkRow>(range)) yield value
  }

  /** Finished chunks that overlap the span by a clock, in order of their beginning. */
  async *chunksByTime(streamId: StreamId, by: ClockName, span: TimeSpan): AsyncGenerator<TimeRow> {
    const classes = await this.#timeClasses(streamId, by)
    yield* overlappingRows(this.#meta, ['archive', by, streamId], { classes, span })
  }

  /**
   * Finished chunks whose last fragment's server timestamp is not after `cutoff`, but for exempt
   * ones; at most `limit`, then ask again when these are gone.
   */
  async expiredBy(
    streamId: StreamId,
    cutoff: number,
    options: { readonly limit: number; readonly isExempt: (chunk: FinishedChunk) => boolean },
  ): Promise<readonly FinishedChunk[]> {
    const { limit, isExempt } = options
    const expired: FinishedChunk[] = []
    const prefix = ['archive', 'server', streamId]
    for (const lengthClass of await this.#timeClasses(streamId, 'server')) {
      const range = { prefix: [...prefix, lengthClass], before: [toTimeKey(cutoff + 1)] }
      for await (const { key } of this.#meta.entries(range)) {
        const chunk = this.chunk(streamId, key.at(-1) as number)
        if (chunk?.state !== 'finished' || chunk.span.lastServerTimestamp > cutoff) continue
        if (isExempt(chunk)) continue
        expired.push(chunk)
        if (expired.length >= limit) return expired
      }
    }
    return expired.sort((a, b) => a.firstCounter - b.firstCounter)
  }

  /** Chunks that were open when the process ended. */
  async openChunks(): Promise<
    readonly { readonly streamId: StreamId; readonly chunk: ChunkRow }[]
  > {
    const open: { streamId: StreamId; chunk: ChunkRow }[] = []
    for await (const { key } of this.#meta.entries({ prefix: ['archive', 'open'] })) {
      const streamId = key[2] as StreamId
      const chunk = this.chunk(streamId, key[3] as number)
      if (chunk !== null) open.push({ streamId, chunk })
    }
    return open
  }

  /** The chunk is known from here on, and so are the numbers that it may use. */
  async openChunk(
    streamId: StreamId,
    chunk: ChunkRow,
    gaps: GapRecord | null = null,
  ): Promise<void> {
    await this.#change(streamId, (stream) => {
      const gapChange = gaps === null ? {} : planGaps(streamId, gaps)
      return {
        stream: {
          ...withGaps(stream, this.#countNew(streamId, gaps?.closed ?? [])),
          counterCeiling: chunk.firstCounter + MAX_FRAGMENTS_PER_CHUNK,
        },
        ...gapChange,
        puts: [
          { key: chunkKey(streamId, chunk.firstCounter), value: chunk },
          { key: openKey(streamId, chunk.firstCounter), value: true },
          ...(gapChange.puts ?? []),
        ],
      }
    })
    if (gaps !== null) await this.#trimGaps(streamId)
  }

  finishChunk(streamId: StreamId, chunk: FinishedChunk): Promise<void> {
    const { span } = chunk
    return this.#change(streamId, (stream) => ({
      stream: {
        ...withClasses(stream, span),
        nextCounter: Math.max(stream.nextCounter, span.lastCounter + 1),
        nextSequence: Math.max(stream.nextSequence, span.lastSequence + 1),
        discontinuitySequence: Math.max(stream.discontinuitySequence, span.discontinuitySequence),
        chunks: stream.chunks + 1,
        bytes: stream.bytes + chunk.bytes,
      },
      puts: [
        { key: chunkKey(streamId, chunk.firstCounter), value: chunk },
        { key: timeKey(streamId, 'server', chunk), value: span.server.to },
        { key: timeKey(streamId, 'producer', chunk), value: span.producer.to },
      ],
      deletes: [openKey(streamId, chunk.firstCounter)],
    }))
  }

  /** Of a finished chunk that was written anew: its length may be another one. */
  replaceChunk(streamId: StreamId, chunk: FinishedChunk): Promise<void> {
    return this.#change(streamId, (stream) => {
      const before = this.chunk(streamId, chunk.firstCounter)
      if (before?.state !== 'finished') return null
      return {
        stream: { ...stream, bytes: stream.bytes + chunk.bytes - before.bytes },
        puts: [{ key: chunkKey(streamId, chunk.firstCounter), value: chunk }],
      }
    })
  }

  /**
   * Takes a chunk out of every answer and leaves a garbage row, in one step. Its files go after it.
   *
   * @param evicted why it goes before its time, for people; `null` when it does not
   * @returns `null` when somebody else did it before
   */
  async dropChunk(
    streamId: StreamId,
    firstCounter: number,
    evicted: string | null = null,
  ): Promise<GarbageRow | null> {
    const key = ['archive', 'garbage', streamId, firstCounter]
    let garbage: GarbageRow | null = null
    await this.#change(streamId, (stream) => {
      const chunk = this.chunk(streamId, firstCounter)
      if (chunk === null) return null
      garbage = { streamId, path: chunk.path, key }
      const finished = chunk.state === 'finished' ? chunk : null
      const noted =
        evicted === null || finished === null
          ? { stream, puts: [], deletes: [] }
          : this.#planEvicted(streamId, stream, finished.span, evicted)
      return {
        stream: {
          ...noted.stream,
          chunks: stream.chunks - (finished === null ? 0 : 1),
          bytes: stream.bytes - (finished?.bytes ?? 0),
        },
        puts: [{ key, value: chunk.path }, ...noted.puts],
        deletes: [
          ...noted.deletes,
          chunkKey(streamId, firstCounter),
          openKey(streamId, firstCounter),
          ...(finished === null
            ? []
            : [timeKey(streamId, 'server', finished), timeKey(streamId, 'producer', finished)]),
        ],
      }
    })
    return garbage
  }

  /**
   * One mark for what is evicted chunk after chunk: where media comes for years and the quota takes
   * it again, there would be thousands.
   */
  #planEvicted(streamId: StreamId, stream: StreamRow, span: ChunkSpan, detail: string) {
    const { replaced: last, mark: evicted } = growEvicted(stream.evicted ?? null, span, detail)
    const keys = gapKeys(streamId, evicted)
    const before = last === null ? [] : gapKeys(streamId, last)
    const deletes = before.filter((key) => !keys.some((kept) => isDeepStrictEqual(kept, key)))
    const [replaced] = before
    const isThere = replaced !== undefined && this.#meta.get(replaced) !== null
    const added = isThere ? 0 : this.#countNew(streamId, [evicted])
    return {
      stream: { ...withGaps(stream, added), evicted },
      puts: keys.map((key) => ({ key, value: evicted })),
      deletes,
    }
  }

  /** Marks that are not there yet: one may be stored again when nobody knows whether it was. */
  #countNew(streamId: StreamId, marks: readonly GapMark[]): number {
    return marks.filter((mark) => this.#meta.get(gapKeys(streamId, mark)[0]!) === null).length
  }

  /** Lets the numbering go on behind everything that may have been given out. */
  skipNumbers(streamId: StreamId): Promise<void> {
    return this.#change(streamId, (stream) => ({
      stream: { ...stream, nextCounter: Math.max(stream.nextCounter, stream.counterCeiling) },
    }))
  }

  /** Why media is missing, as far as it was noted: what overlaps the range by its clock. */
  async gapMarks(streamId: StreamId, range: ClockRange): Promise<readonly GapMark[]> {
    const marks: GapMark[] = []
    const prefix = gapPrefix(streamId, range.by)
    for (const lengthClass of await lengthClassesOf(this.#meta, prefix)) {
      const rows = { prefix: [...prefix, lengthClass], ...toKeyRange(lengthClass, range) }
      for await (const { value } of this.#meta.entries<GapMark>(rows)) {
        if (value[range.by].to > range.from) marks.push(value)
      }
    }
    return marks
  }

  /** The gap that lasts until the next fragment begins; `null` while a session is on. */
  openGap(streamId: StreamId): OpenGap | null {
    return this.#meta.get<OpenGap>(['archive', 'gap', streamId])
  }

  async recordGaps(streamId: StreamId, gaps: GapRecord): Promise<void> {
    await this.#change(streamId, (stream) => ({
      stream: withGaps(stream, this.#countNew(streamId, gaps.closed)),
      ...planGaps(streamId, gaps),
    }))
    await this.#trimGaps(streamId)
  }

  /** Drops marks that were over, by our clock, before the cutoff. */
  async expireGaps(streamId: StreamId, cutoff: number): Promise<void> {
    if ((this.stream(streamId).gaps ?? 0) === 0) return
    const span = { from: -MAX_TIMESTAMP_MS, to: cutoff }
    const marks = await this.gapMarks(streamId, { by: 'server', ...span })
    const over = marks.filter(({ server }) => server.to <= cutoff)
    if (over.length > 0) await this.#dropGaps(streamId, over)
  }

  async #trimGaps(streamId: StreamId): Promise<void> {
    if ((this.stream(streamId).gaps ?? 0) <= MAX_GAPS) return
    const span = { from: -MAX_TIMESTAMP_MS, to: MAX_TIMESTAMP_MS }
    const marks = await this.gapMarks(streamId, { by: 'server', ...span })
    const byAge = marks.toSorted((a, b) => a.server.from - b.server.from)
    const surplus = Math.ceil(byAge.length - MAX_GAPS * 0.9) // so that it is not done every time
    await this.#dropGaps(streamId, byAge.slice(0, Math.max(surplus, 0)))
  }

  #dropGaps(streamId: StreamId, marks: readonly GapMark[]): Promise<void> {
    return this.#change(streamId, (stream) => ({
      stream: withGaps(stream, -marks.length),
      deletes: marks.flatMap((mark) => gapKeys(streamId, mark)),
    }))
  }

  /** Time rows by a clock, as they stand; `isRight` compares them with their chunk. */
  async *timeRows(
    streamId: StreamId,
    by: ClockName,
  ): AsyncGenerator<{ readonly key: MetaKey; readonly isRight: boolean }> {
    for await (const { key, value } of this.#meta.entries({ prefix: ['archive', by, streamId] })) {
      const chunk = this.chunk(streamId, key.at(-1) as number)
      const isRight =
        chunk?.state === 'finished' &&
        chunk.span[by].to === value &&
        isDeepStrictEqual(timeKey(streamId, by, chunk), key)
      yield { key, isRight }
    }
  }

  hasTimeRows(streamId: StreamId, chunk: FinishedChunk): boolean {
    return CLOCKS.every((by) => this.#meta.get(timeKey(streamId, by, chunk)) !== null)
  }

  async *openRows(): AsyncGenerator<{ readonly key: MetaKey; readonly chunk: ChunkRow | null }> {
    for await (const { key } of this.#meta.entries({ prefix: ['archive', 'open'] })) {
      yield { key, chunk: this.chunk(key[2] as StreamId, key[3] as number) }
    }
  }

  async forgetRows(keys: readonly MetaKey[]): Promise<void> {
    await this.#meta.commit({ deletes: keys })
  }

  /** Puts a chunk's rows in order that may be there in part; sums are for {@link correctStream}. */
  restoreTimeRows(streamId: StreamId, chunk: FinishedChunk): Promise<void> {
    const puts = CLOCKS.map((by) => ({
      key: timeKey(streamId, by, chunk),
      value: chunk.span[by].to,
    }))
    return this.#change(streamId, (stream) => ({ stream: withClasses(stream, chunk.span), puts }))
  }

  /** Whether the stream has a row; {@link stream} answers for one without as for a new one. */
  hasStream(streamId: StreamId): boolean {
    return this.#meta.get(['archive', 'stream', streamId]) !== null
  }

  /** With those that have chunks and no row, which only damage brings about. */
  async streamsWithChunks(): Promise<readonly StreamId[]> {
    const streamIds = new Set(await this.streams())
    for (let from: MetaKey | null = []; from !== null;) {
      const range: MetaRange = { prefix: ['archive', 'chunk'], from, limit: 1 }
      from = null
      for await (const { key } of this.#meta.entries(range)) {
        streamIds.add(key[2] as StreamId)
        from = [key[2]!, Number.MAX_SAFE_INTEGER]
      }
    }
    return [...streamIds]
  }

  /**
   * Writes what a stream's row says of its chunks: it may be lost or wrong. Numbers are never given
   * out again.
   *
   * @param last the span of its newest chunk
   */
  correctStream(
    streamId: StreamId,
    sums: Pick<StreamRow, 'chunks' | 'bytes'>,
    last: ChunkSpan | null,
  ): Promise<void> {
    return this.#change(streamId, ({ classes: _, ...stream }) => ({
      stream: {
        ...stream,
        ...sums,
        nextCounter: Math.max(stream.nextCounter, (last?.lastCounter ?? 0) + 1),
        nextSequence: Math.max(stream.nextSequence, (last?.lastSequence ?? -1) + 1),
        discontinuitySequence: Math.max(
          stream.discontinuitySequence,
          last?.discontinuitySequence ?? 0,
        ),
      },
    }))
  }

  /**
   * Forgets a stream's chunks, so that they can be catalogued again from their files. Where its
   * numbering goes on, its gaps, holds and garbage stay.
   *
   * @param highestCounter that was ever seen
   */
  async resetStream(streamId: StreamId, highestCounter: number): Promise<void> {
    for (const kind of ['chunk', 'open', ...CLOCKS]) {
      let keys: MetaKey[] = []
      do {
        keys = []
        const range = { prefix: ['archive', kind, streamId], limit: RESET_BATCH }
        for await (const { key } of this.#meta.entries(range)) keys.push(key)
        if (keys.length > 0) await this.#meta.commit({ deletes: keys })
      } while (keys.length === RESET_BATCH)
    }
    await this.#change(streamId, (stream) => ({
      stream: {
        ...stream,
        ...{ chunks: 0, bytes: 0, classes: NO_CLASSES },
        nextCounter: Math.max(stream.nextCounter, highestCounter + 1),
        counterCeiling: Math.max(stream.counterCeiling, highestCounter + 1),
      },
    }))
  }

  async garbage(): Promise<readonly GarbageRow[]> {
    const rows: GarbageRow[] = []
    const range = { prefix: ['archive', 'garbage'] }
    for await (const { key, value } of this.#meta.entries<string>(range)) {
      rows.push({ streamId: key[2] as StreamId, path: value, key })
    }
    return rows
  }

  async forgetGarbage(garbage: GarbageRow): Promise<void> {
    await this.#meta.commit({ deletes: [garbage.key] })
  }

  /** From here on the stream's removal is finished at every start until it is done. */
  async beginRemoval(streamId: StreamId): Promise<void> {
    await this.#meta.commit({ puts: [{ key: removingKey(streamId), value: true }] })
  }

  async endRemoval(streamId: StreamId): Promise<void> {
    const all = { from: -MAX_TIMESTAMP_MS, to: MAX_TIMESTAMP_MS }
    const marks = await this.gapMarks(streamId, { by: 'server', ...all })
    const gaps = [['archive', 'gap', streamId], ...marks.flatMap((mark) => gapKeys(streamId, mark))]
    const stream = ['archive', 'stream', streamId]
    await this.#meta.commit({ deletes: [stream, removingKey(streamId), ...gaps] })
    this.#turns.delete(streamId)
  }

  async removals(): Promise<readonly StreamId[]> {
    const streamIds: StreamId[] = []
    for await (const { key } of this.#meta.entries({ prefix: ['archive', 'removing'] })) {
      streamIds.push(key[2] as StreamId)
    }
    return streamIds
  }

  async #change(
    streamId: StreamId,
    plan: (stream: StreamRow) => StreamChange | null,
  ): Promise<void> {
    const before = this.#turns.get(streamId) ?? Promise.resolve()
    const turn = before.then(async () => {
      const change = plan(this.stream(streamId))
      if (change === null) return
      const { stream, puts = [], deletes = [] } = change
      const streamPut = { key: ['archive', 'stream', streamId], value: stream }
      await this.#meta.commit({ puts: [streamPut, ...puts], deletes })
    })
    this.#turns.set(
      streamId,
      turn.catch(() => undefined), // its caller sees the failure; the next still runs
    )
    await turn
  }

  /** The classes of a stream's chunks; looked for where its row is of an older version. */
  async #timeClasses(streamId: StreamId, by: ClockName): Promise<readonly number[]> {
    return (
      this.stream(streamId).classes?.[by] ?? lengthClassesOf(this.#meta, ['archive', by, streamId])
    )
  }
}

const CLOCKS = ['server', 'producer'] as const satisfies readonly ClockName[]

/** Rows deleted in one commit. */
const RESET_BATCH = 1000

type StreamChange = Omit<MetaBatch, 'conditions'> & { readonly stream: StreamRow }

function planGaps(streamId: StreamId, { closed, open }: GapRecord): Omit<MetaBatch, 'conditions'> {
  const openKey = ['archive', 'gap', streamId]
  const marks = closed.flatMap((value) => gapKeys(streamId, value).map((key) => ({ key, value })))
  return open === null
    ? { puts: marks, deletes: [openKey] }
    : { puts: [...marks, { key: openKey, value: open }] }
}

function withClasses(stream: StreamRow, span: ChunkSpan): StreamRow {
  const { classes } = stream
  if (classes === undefined) return stream
  const withClass = (by: ClockName): readonly number[] => {
    const lengthClass = toLengthClass(span[by].to - span[by].from)
    const known = classes[by]
    return known.includes(lengthClass) ? known : [...known, lengthClass].sort((a, b) => a - b)
  }
  return { ...stream, classes: { server: withClass('server'), producer: withClass('producer') } }
}

function withGaps(stream: StreamRow, added: number): StreamRow {
  return { ...stream, gaps: Math.max((stream.gaps ?? 0) + added, 0) }
}
