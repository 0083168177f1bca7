import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'
import { parseStreamName, toStreamId, type StreamId } from '../domain/stream.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import {
  DIGEST_REALM,
  type DigestAlgorithm,
  type StreamInfo,
  type StreamRegistry,
} from './stream-registry.ts'

type StreamRow = Omit<StreamInfo, 'streamId'> & {
  readonly streamId: string
  /** SHA-256 of the publish key, hex. Keys are random or at least 8 characters; never kept plain. */
  readonly publishKeySha256: string
  /** For digest authentication, which the key's hash cannot answer: see `publishDigest`. */
  readonly publishDigests: Readonly<Record<DigestAlgorithm, string>>
}

const PREFIX = 'stream'
const MAX_RETENTION_HOURS = 87_600
const MIN_KEY_LENGTH = 8

/** The registry on the MetaStore. All rows are kept in memory: streams are counted in hundreds. */
export async function openStreamRegistry(meta: MetaStore, clock: Clock): Promise<StreamRegistry> {
  const rows = new Map<string, StreamRow>()
  for await (const { value } of meta.entries<StreamRow>({ prefix: [PREFIX] })) {
    rows.set(value.name, value)
  }
  return new MetaStreamRegistry(meta, clock, rows)
}

class MetaStreamRegistry implements StreamRegistry {
  readonly #meta: MetaStore
  readonly #clock: Clock
  readonly #rows: Map<string, StreamRow>

  constructor(meta: MetaStore, clock: Clock, rows: Map<string, StreamRow>) {
    this.#meta = meta
    this.#clock = clock
    this.#rows = rows
  }

  list(): readonly StreamInfo[] {
    return [...this.#rows.values()].map(toStreamInfo).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  find(name: string): StreamInfo | null {
    const row = this.#rows.get(name)
    return row === undefined ? null : toStreamInfo(row)
  }

  findById(streamId: StreamId): StreamInfo | null {
    for (const row of this.#rows.values()) if (row.streamId === streamId) return toStreamInfo(row)
    return null
  }

  get(name: string): StreamInfo {
    return toStreamInfo(this.#row(name))
  }

  async create(options: {
    name: string
    retentionHours: number
    quotaBytes?: number | null
    publishKey?: string
  }): Promise<{ readonly info: StreamInfo; readonly publishKey: string }> {
    const name = parseStreamName(options.name)
    checkRetention(options.retentionHours)
    checkQuota(options.quotaBytes)
    const publishKey = options.publishKey ?? randomBytes(18).toString('base64url')
    checkPublishKey(publishKey)
    const createdAt = this.#clock.now()
    const row: StreamRow = {
      streamId: toStreamId(name, createdAt),
      name,
      createdAt,
      retentionHours: options.retentionHours,
      ...toQuota(options.quotaBytes),
      version: 1,
      ...toKeyHashes(name, publishKey),
    }
    const created = await this.#meta.commit({
      conditions: [{ key: [PREFIX, name], equals: null }],
      puts: [{ key: [PREFIX, name], value: row }],
    })
    if (!created) {
      throw new ServiceError('conflict', 'StreamExists', `A stream named ${name} exists already.`)
    }
    this.#rows.set(name, row)
    return { info: toStreamInfo(row), publishKey }
  }

  async update(
    name: string,
    change: { retentionHours?: number; quotaBytes?: number | null; publishKey?: string },
  ): Promise<StreamInfo> {
    const row = this.#row(name)
    if (change.retentionHours !== undefined) checkRetention(change.retentionHours)
    if (change.publishKey !== undefined) checkPublishKey(change.publishKey)
    checkQuota(change.quotaBytes)
    const { quotaBytes, ...kept } = row
    const next: StreamRow = {
      ...kept,
      ...toQuota(change.quotaBytes === undefined ? quotaBytes : change.quotaBytes),
      retentionHours: change.retentionHours ?? row.retentionHours,
      ...(change.publishKey === undefined ? {} : toKeyHashes(name, change.publishKey)),
      version: row.version + 1,
    }
    const updated = await this.#meta.commit({
      conditions: [{ key: [PREFIX, name], equals: row }],
      puts: [{ key: [PREFIX, name], value: next }],
    })
    if (!updated) {
      throw new ServiceError('conflict', 'StreamChanged', `Stream ${name} changed meanwhile.`)
    }
    this.#rows.set(name, next)
    return toStreamInfo(next)
  }

  async delete(name: string): Promise<void> {
    this.#row(name)
    await this.#meta.commit({ deletes: [[PREFIX, name]] })
    this.#rows.delete(name)
  }

  acceptsPublishKey(name: string, key: string): boolean {
    const expected = this.#rows.get(name)?.publishKeySha256 ?? NO_KEY
    return timingSafeEqual(sha256(key), Buffer.from(expected, 'hex'))
  }

  publishDigest(name: string, algorithm: DigestAlgorithm): string {
    return this.#rows.get(name)?.publishDigests[algorithm] ?? NO_KEY
  }

  #row(name: string): StreamRow {
    const row = this.#rows.get(name)
    if (row === undefined) {
      throw new ServiceError('not-found', 'StreamNotFound', `There is no stream named ${name}.`)
    }
    return row
  }
}

/** No text has this hash, as far as anybody knows. */
const NO_KEY = '0'.repeat(64)

function toKeyHashes(name: string, key: string) {
  const a1 = `${name}:${DIGEST_REALM}:${key}`
  const digest = (algorithm: string) => createHash(algorithm).update(a1).digest('hex')
  return {
    publishKeySha256: sha256(key).toString('hex'),
    publishDigests: { MD5: digest('md5'), 'SHA-256': digest('sha256') },
  }
}

function toStreamInfo({
  publishKeySha256: _,
  publishDigests: _digests,
  ...row
}: StreamRow): StreamInfo {
  return { ...row, streamId: row.streamId as StreamId }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function checkRetention(hours: number): void {
  if (!Number.isSafeInteger(hours) || hours < 0 || hours > MAX_RETENTION_HOURS) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidRetention',
      `Retention must be a whole number of hours from 0 to ${MAX_RETENTION_HOURS}, not ${hours}.`,
    )
  }
}

const MIN_QUOTA_BYTES = 1_000_000

function checkQuota(bytes: number | null | undefined): void {
  if (bytes === undefined || bytes === null) return
  if (Number.isSafeInteger(bytes) && bytes >= MIN_QUOTA_BYTES) return
  throw new ServiceError(
    'invalid-argument',
    'InvalidQuota',
    `A quota is a whole number of bytes from ${MIN_QUOTA_BYTES}, not ${bytes}.`,
  )
}

function toQuota(quotaBytes: number | null | undefined): { readonly quotaBytes?: number } {
  return quotaBytes === undefined || quotaBytes === null ? {} : { quotaBytes }
}

function checkPublishKey(key: string): void {
  if (!/^[A-Za-z0-9._~-]+$/.test(key) || key.length < MIN_KEY_LENGTH || key.length > 128) {
    throw new ServiceError(
      'invalid-argument',
      'InvalidPublishKey',
      `A publish key has ${MIN_KEY_LENGTH} to 128 characters of A-Z a-z 0-9 . _ ~ -`,
    )
  }
}
