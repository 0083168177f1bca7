import { ServiceError } from '../domain/errors.ts'
import { epochMs, type EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaKey, MetaStore } from '../platform/meta-store.ts'

/** An application registered for enhanced fan-out on one generation of a stream. */
export type StreamConsumer = {
  readonly name: string
  /** With the name it is the consumer's identity: one registered again is another one. */
  readonly createdAt: EpochMs
  readonly tags: Readonly<Record<string, string>>
  /** Resource policy, JSON text. */
  readonly policy: string | null
}

/**
 * ```
 * datastream consumer <stream created at> <name>   StreamConsumer
 * datastream gone-consumer <stream created at>     epoch seconds of the newest that is gone
 * ```
 */
const consumerKey = (stream: EpochMs, name: string): MetaKey => [
  'datastream',
  'consumer',
  stream,
  name,
]
const goneKey = (stream: EpochMs): MetaKey => ['datastream', 'gone-consumer', stream]

export type ConsumersParts = {
  readonly meta: MetaStore
  readonly clock: Clock
  readonly stream: { readonly name: string; readonly createdAt: EpochMs }
  /** Called when one is deregistered. */
  readonly onGone: (consumer: StreamConsumer) => void
}

/** The consumers of one generation of a stream: rows in the metadata store, all in memory. */
export class StreamConsumers {
  readonly #meta: MetaStore
  readonly #clock: Clock
  readonly #stream: { readonly name: string; readonly createdAt: EpochMs }
  readonly #onGone: (consumer: StreamConsumer) => void
  readonly #byName = new Map<string, StreamConsumer>()

  private constructor(parts: ConsumersParts) {
    this.#meta = parts.meta
    this.#clock = parts.clock
    this.#stream = parts.stream
    this.#onGone = parts.onGone
  }

  static async open(parts: ConsumersParts): Promise<StreamConsumers> {
    const consumers = new StreamConsumers(parts)
    const prefix: MetaKey = ['datastream', 'consumer', parts.stream.createdAt]
    for await (const { value } of parts.meta.entries<StreamConsumer>({ prefix })) {
      consumers.#byName.set(value.name, value)
    }
    return consumers
  }

  /** In the order of their names. */
  list(): readonly StreamConsumer[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** @throws `not-found`/`ResourceNotFoundException` */
  get(name: string): StreamConsumer {
    const consumer = this.#byName.get(name)
    if (consumer !== undefined) return consumer
    throw new ServiceError(
      'not-found',
      'ResourceNotFoundException',
      `Consumer ${name} of stream ${this.#stream.name} not found.`,
      { context: { stream: this.#stream.name, consumer: name } },
    )
  }

  /**
   * @throws `conflict`/`ResourceInUseException` when the name is taken,
   *   `limit-exceeded`/`LimitExceededException`
   */
  async register(
    { name, tags }: Pick<StreamConsumer, 'name' | 'tags'>,
    limit: number,
  ): Promise<StreamConsumer> {
    if (this.#byName.has(name)) throw taken(name, this.#stream.name)
    if (this.#byName.size >= limit) {
      throw new ServiceError(
        'limit-exceeded',
        'LimitExceededException',
        `Stream ${this.#stream.name} has ${limit} registered consumers, the most that it can have.`,
        { context: { stream: this.#stream.name } },
      )
    }
    // The service names a consumer with the second of its creation, so no second of one that is
    // gone comes again.
    const gone = this.#meta.get<number>(goneKey(this.#stream.createdAt)) ?? 0
    const createdAt = epochMs(Math.max(this.#clock.now(), (gone + 1) * 1000))
    const consumer: StreamConsumer = { name, createdAt, tags, policy: null }
    const key = consumerKey(this.#stream.createdAt, name)
    const committed = await this.#meta.commit({
      conditions: [{ key, equals: null }],
      puts: [{ key, value: consumer }],
    })
    if (!committed) throw taken(name, this.#stream.name)
    this.#byName.set(name, consumer)
    return consumer
  }

  /** Changes what may change. @throws `not-found`/`ResourceNotFoundException` */
  async update(
    name: string,
    change: Partial<Pick<StreamConsumer, 'tags' | 'policy'>>,
  ): Promise<void> {
    const before = this.get(name)
    const after = { ...before, ...change }
    const key = consumerKey(this.#stream.createdAt, name)
    const committed = await this.#meta.commit({
      conditions: [{ key, equals: before }],
      puts: [{ key, value: after }],
    })
    if (!committed) this.get(name) // deregistered meanwhile
    this.#byName.set(name, after)
  }

  /** @throws `not-found`/`ResourceNotFoundException` */
  async deregister(name: string): Promise<void> {
    const consumer = this.get(name)
    this.#byName.delete(name)
    const gone = this.#meta.get<number>(goneKey(this.#stream.createdAt)) ?? 0
    await this.#meta.commit({
      deletes: [consumerKey(this.#stream.createdAt, name)],
      puts: [
        {
          key: goneKey(this.#stream.createdAt),
          value: Math.max(gone, Math.floor(consumer.createdAt / 1000)),
        },
      ],
    })
    this.#onGone(consumer)
  }

  /** Rows that go with the stream. */
  rowsToDelete(): readonly MetaKey[] {
    return [
      goneKey(this.#stream.createdAt),
      ...this.list().map(({ name }) => consumerKey(this.#stream.createdAt, name)),
    ]
  }
}

function taken(name: string, stream: string): ServiceError {
  return new ServiceError(
    'conflict',
    'ResourceInUseException',
    `Consumer ${name} of stream ${stream} already exists.`,
    { context: { stream } },
  )
}
