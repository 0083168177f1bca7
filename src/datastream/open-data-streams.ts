import { ServiceError } from '../domain/errors.ts'
import { AccountSettings } from './account-settings.ts'
import { countChange, toCountedKind } from './count-changes.ts'
import type {
  DataStreamInfo,
  DataStreams,
  DataStreamSettings,
  IteratorStart,
  PutOutcome,
  PutResult,
  ReadLimits,
  ReadResult,
  RecordToPut,
  ShardPosition,
  StoredRecord,
  SubscriptionEvent,
} from './data-streams.ts'
import { MasterKeys } from './master-keys.ts'
import { Measure } from './measure.ts'
import { watchTraffic } from './on-demand.ts'
import type { OnDemandStep } from './plan-on-demand.ts'
import { OpenStream } from './open-stream.ts'
import { PartialPutError } from './partial-put-error.ts'
import { planMerge, planSplit, planUniformScaling } from './plan-reshard.ts'
import { pushRecords } from './push-records.ts'
import { putRecords, rateExceeded } from './put-records.ts'
import { bytesOf, newestIn, readIn, seekIn } from './read-records.ts'
import { beingChanged, reshard } from './reshard.ts'
import { toShardId } from './shard.ts'
import { READ_BYTES_PER_SECOND } from './shard-capacity.ts'
import {
  openLogs,
  openShards,
  type DataStreamsOptions,
  type DataStreamsParts,
  type StoreParts,
} from './store-parts.ts'
import { StreamCipher } from './stream-cipher.ts'
import { StreamConsumers, type StreamConsumer } from './stream-consumers.ts'
import {
  horizonOf,
  updateBatch,
  type CountedChange,
  type StoredStream,
  type StreamRow,
} from './stream-rows.ts'
import { notFound, StreamCatalogue } from './stream-catalogue.ts'
import { Subscriptions } from './subscriptions.ts'
import { Semaphore } from '../platform/semaphore.ts'
import { TokenBucket } from '../platform/token-bucket.ts'
import { storedBytesOf, trimForever } from './trim-streams.ts'

/** As many as keep Node's pool of four threads busy, one waiting for each that runs. */
const COMMITS_AT_ONCE = 8

const DEFAULTS: DataStreamsOptions = {
  maxShards: 10_000,
  trimIntervalMs: 60_000,
  capacity: 'off',
  quotas: 'off',
  segment: {},
}

/** Opens the streams that `meta` names and finishes deletions that a crash interrupted. */
export async function openDataStreams(
  parts: DataStreamsParts,
  options: Partial<DataStreamsOptions> = {},
): Promise<DataStreams> {
  const streams = new SegmentedDataStreams({
    ...parts,
    options: { ...DEFAULTS, ...options },
    measure: new Measure(parts.metrics),
    commits: new Semaphore(COMMITS_AT_ONCE),
  })
  await streams.start()
  return streams
}

class SegmentedDataStreams implements DataStreams {
  readonly account: AccountSettings
  readonly #parts: StoreParts
  readonly #catalogue: StreamCatalogue
  readonly #stopping = new AbortController()
  #opening: Promise<void> = Promise.resolve()
  #trimming: Promise<void> = Promise.resolve()
  #watching: Promise<void> = Promise.resolve()
  readonly #subscriptions: Subscriptions

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.account = new AccountSettings(parts)
    this.#catalogue = new StreamCatalogue(parts, (stored) => this.#open(stored))
    this.#subscriptions = new Subscriptions(parts.clock)
  }

  async start(): Promise<void> {
    await this.#catalogue.load()
    const streams = () => this.#catalogue.streams()
    this.#opening = openLogs(streams(), this.#stopping.signal)
    this.#trimming = trimForever(this.#parts, streams, this.#stopping.signal)
    const take = (stream: OpenStream, step: OnDemandStep) => this.#takeStep(stream, step)
    this.#watching = watchTraffic(this.#parts, streams, take, this.#stopping.signal)
  }

  async #open({ stream, shards }: StoredStream): Promise<OpenStream> {
    const { meta, clock } = this.#parts
    const onGone = ({ name, createdAt }: StreamConsumer) => {
      const prefix = `${stream.name}:${stream.createdAt}:${name}:${createdAt}:`
      this.#subscriptions.endAll(prefix, consumerGone(stream.name, name))
    }
    const consumers = await StreamConsumers.open({ meta, clock, stream, onGone })
    const masterKeys = this.#parts.masterKeys ?? new MasterKeys(new Map())
    const cipher = new StreamCipher({ meta, masterKeys, stream: stream.createdAt })
    const opened = openShards(this.#parts, stream, shards, cipher)
    return new OpenStream(stream, opened, { consumers, cipher })
  }

  async create(options: Parameters<DataStreams['create']>[0]): Promise<void> {
    await this.#catalogue.create(options)
  }

  async delete(name: string): Promise<void> {
    await this.#catalogue.delete(name)
  }

  async update(name: string, change: Parameters<DataStreams['update']>[1]): Promise<void> {
    const stream = this.#catalogue.find(name)
    const { row } = stream
    const kind = toCountedKind(row, change)
    const counted = kind === null ? null : this.#count(row, kind)
    if (kind === 'mode' && change.mode === 'ON_DEMAND') this.#catalogue.refuseOnDemand()
    if (change.encryption) await stream.cipher.use(change.encryption.keyId)
    const isLonger = (change.retentionHours ?? 0) > row.retentionHours
    await this.#changeRow(stream, {
      ...change,
      ...(counted !== null && { counted }),
      ...(isLonger && { expiredBefore: horizonOf(row, this.#parts.clock.now()) }),
    })
  }

  #count(row: StreamRow, kind: CountedChange['kind']): readonly CountedChange[] {
    const enforced = this.#parts.options.quotas === 'enforce'
    return countChange(row, kind, { now: this.#parts.clock.now(), enforced })
  }

  async #changeRow(stream: OpenStream, change: Partial<StreamRow>): Promise<void> {
    const after: StreamRow = { ...stream.row, ...change }
    if (!(await this.#parts.meta.commit(updateBatch(stream.row, after)))) {
      throw beingChanged(stream.row.name)
    }
    stream.row = after
  }

  async split(name: string, shardId: string, newStartingHashKey: string): Promise<void> {
    await this.#reshard(name, (from, now) => planSplit(from, shardId, newStartingHashKey, now))
  }

  async merge(name: string, shardId: string, adjacentShardId: string): Promise<void> {
    await this.#reshard(name, (from, now) => planMerge(from, shardId, adjacentShardId, now))
  }

  async scale(name: string, shardCount: number): Promise<void> {
    const stream = this.#catalogue.find(name)
    stream.refuseUnlessActive()
    await this.#reshard(name, (from, now) => planUniformScaling(from, shardCount, now), {
      counted: this.#count(stream.row, 'shard-count'),
    })
  }

  async #takeStep({ row: { name } }: OpenStream, step: OnDemandStep): Promise<void> {
    const shardId = toShardId(step.number)
    if (step.kind === 'split') await this.split(name, shardId, step.at)
    else await this.merge(name, shardId, toShardId(step.adjacent))
  }

  async #reshard(
    name: string,
    plan: Parameters<typeof reshard>[2],
    change: Partial<StreamRow> = {},
  ): Promise<void> {
    const refuseShards = (added: number) => this.#catalogue.refuseShards(added)
    await reshard(this.#parts, this.#catalogue.find(name), plan, { refuseShards, change })
  }

  list(): readonly string[] {
    return this.#catalogue.names()
  }

  describe(name: string): DataStreamInfo {
    const { row, shards, status } = this.#catalogue.find(name)
    const horizon = horizonOf(row, this.#parts.clock.now())
    return {
      name,
      status,
      createdAt: row.createdAt,
      retentionHours: row.retentionHours,
      horizon,
      shards: shards
        .filter(({ row: { closedAt } }) => closedAt === null || closedAt >= horizon)
        .map((shard) => shard.info),
    }
  }

  settings(name: string): DataStreamSettings {
    return this.#catalogue.find(name).row
  }

  limits() {
    return this.#catalogue.limits()
  }

  async putEach(name: string, records: readonly RecordToPut[]): Promise<readonly PutOutcome[]> {
    return putRecords(this.#parts, this.#catalogue.find(name), records)
  }

  async put(name: string, records: readonly RecordToPut[]): Promise<readonly PutResult[]> {
    const outcomes = await this.putEach(name, records)
    const failed = outcomes.find((outcome) => 'error' in outcome)
    if (failed === undefined) return outcomes as readonly PutResult[]
    if (outcomes.every((outcome) => 'error' in outcome)) throw failed.error
    const results = outcomes.map((outcome) => ('error' in outcome ? null : outcome))
    throw new PartialPutError(results, failed.error)
  }

  async seek(name: string, shardId: string, start: IteratorStart): Promise<ShardPosition> {
    return seekIn(this.#catalogue.find(name), shardId, start, this.#parts.clock.now())
  }

  async seekToPoll(name: string, shardId: string, start: IteratorStart): Promise<ShardPosition> {
    const { clock, options, measure } = this.#parts
    const stream = this.#catalogue.find(name)
    const { capacity, row } = stream.shard(shardId)
    const isLimited = options.capacity !== 'off' && row.closedAt === null
    if (isLimited && !capacity.takeIterator(clock.now())) {
      measure.iteratorThrottled(stream)
      if (options.capacity === 'enforce') throw rateExceeded(name, shardId)
    }
    return this.seek(name, shardId, start)
  }

  async read(position: ShardPosition, limits: ReadLimits): Promise<ReadResult> {
    const stream = this.#generationOf(position)
    const read = await readIn(stream, position, limits, this.#parts.clock.now())
    const { records } = read
    this.#parts.measure.read(stream, position.shardId, records.length, bytesOf(records))
    return read
  }

  async poll(position: ShardPosition, limits: ReadLimits): Promise<ReadResult> {
    const { clock, options, measure } = this.#parts
    const stream = this.#generationOf(position)
    const { capacity, info } = stream.shard(position.shardId)
    if (options.capacity !== 'off' && !capacity.takePoll(clock.now())) {
      measure.readThrottled(stream, info.shardId)
      if (options.capacity === 'enforce') throw rateExceeded(position.stream, info.shardId)
    }
    const read = await this.read(position, limits)
    if (options.capacity !== 'off') capacity.chargeRead(bytesOf(read.records), clock.now())
    measure.polled(stream, info.shardId, { ms: read.millisBehindLatest, polledAt: clock.now() })
    return read
  }

  #generationOf(position: ShardPosition): OpenStream {
    const stream = this.#catalogue.find(position.stream)
    if (stream.row.createdAt !== position.streamCreatedAt) throw notFound(position.stream)
    return stream
  }

  async waitAt(position: ShardPosition, signal: AbortSignal): Promise<void> {
    const shard = this.#generationOf(position).shard(position.shardId)
    await shard.waitFor(position.index, signal)
  }

  consumers(name: string): StreamConsumers {
    return this.#catalogue.find(name).consumers
  }

  async subscribe(
    name: string,
    { consumer, shardId, start }: Parameters<DataStreams['subscribe']>[1],
    signal: AbortSignal,
  ): Promise<AsyncIterable<SubscriptionEvent>> {
    const stream = this.#catalogue.find(name)
    const { createdAt } = stream.consumers.get(consumer)
    const position = await this.seek(name, shardId, start)
    const { takenOver, close } = this.#subscriptions.open(
      `${name}:${stream.row.createdAt}:${consumer}:${createdAt}:${shardId}`,
    )
    return pushRecords({
      ...{ stream, position, clock: this.#parts.clock },
      read: (from, limits) => this.read(from, limits),
      endedBy: [signal, takenOver, stream.gone.signal, this.#stopping.signal],
      onEnd: close,
      bytes:
        this.#parts.options.capacity === 'enforce'
          ? new TokenBucket(READ_BYTES_PER_SECOND, this.#parts.clock.now())
          : null,
    })
  }

  async storedBytes(name: string): Promise<number> {
    return storedBytesOf(this.#catalogue.find(name))
  }

  async newest(name: string, count: number): Promise<readonly StoredRecord[]> {
    return newestIn(this.#catalogue.find(name), count, this.#parts.clock.now())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the data streams are closed'))
    await Promise.all([this.#opening, this.#trimming, this.#watching])
    await this.#catalogue[Symbol.asyncDispose]()
  }
}

function consumerGone(stream: string, name: string): ServiceError {
  return new ServiceError(
    'not-found',
    'ResourceNotFoundException',
    `Consumer ${name} of stream ${stream} was deregistered.`,
    { context: { stream } },
  )
}
