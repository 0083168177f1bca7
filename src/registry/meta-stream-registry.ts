import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { ServiceError } from '../domain/errors.ts'
import { parseStreamName, toStreamId, type StreamId } from '../domain/stream.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import { NamedRows, newVersion } from './named-rows.ts'
import {
  DIGEST_REALM,
  STREAM_DEFAULTS,
  type DigestAlgorithm,
  type NewStream,
  type StreamChange,
  type StreamInfo,
  type StreamRegistry,
} from './stream-registry.ts'
import { checkTags } from './tags.ts'

/** As it is stored. Rows of before the Kinesis Video API count their versions and have no `Later`. */
type StreamRow = Omit<StreamInfo, 'streamId' | 'version' | Later> &
  Partial<Pick<StreamInfo, Later>> & {
    readonly streamId: string
    readonly version: string | number
    /** SHA-256 of the publish key, hex. Keys are random or at least 8 characters; never kept plain. */
    readonly publishKeySha256: string
    /** For digest authentication, which the key's hash cannot answer: see `publishDigest`. */
    readonly publishDigests: Readonly<Record<DigestAlgorithm, string>>
  }
type Later = keyof typeof STREAM_DEFAULTS

const PREFIX = 'stream'
const MAX_RETENTION_HOURS = 87_600
const MIN_KEY_LENGTH = 8

/** The registry on the MetaStore. */
export async function openStreamRegistry(meta: MetaStore, clock: Clock): Promise<StreamRegistry> {
  return new MetaStreamRegistry(await NamedRows.open<StreamRow>(meta, PREFIX), clock)
}

class MetaStreamRegistry implements StreamRegistry {
  readonly #rows: NamedRows<StreamRow>
  readonly #clock: Clock
  readonly #names = new Map<string, string>()
  /** In order of the name; made anew after a change. */
  #list: readonly StreamInfo[] | null = null

  constructor(rows: NamedRows<StreamRow>, clock: Clock) {
    this.#rows = rows
    this.#clock = clock
    for (const { streamId, name } of rows.values()) this.#names.set(streamId, name)
  }

  list(): readonly StreamInfo[] {
    return (this.#list ??= [...this.#rows.values()]
      .map(toStreamInfo)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)))
  }

  find(name: string): StreamInfo | null {
    const row = this.#rows.find(name)
    return row === null ? null : toStreamInfo(row)
  }

  findById(streamId: StreamId): StreamInfo | null {
    const name = this.#names.get(streamId)
    return name === undefined ? null : this.find(name)
  }

  get(name: string): StreamInfo {
    return toStreamInfo(found(this.#rows.find(name), name))
  }

  async create(
    stream: NewStream,
  ): Promise<{ readonly info: StreamInfo; readonly publishKey: string }> {
    const name = parseStreamName(stream.name)
    checkRetention(stream.retentionHours)
    checkQuota(stream.quotaBytes)
    checkTags(stream.tags)
    const publishKey = stream.publishKey ?? randomBytes(18).toString('base64url')
    checkPublishKey(publishKey)
    const createdAt = this.#clock.now()
    const row: StreamRow = {
      streamId: toStreamId(name, createdAt),
      name,
      createdAt,
      retentionHours: stream.retentionHours,
      ...toQuota(stream.quotaBytes),
      version: newVersion(),
      deviceName: stream.deviceName ?? null,
      mediaType: stream.mediaType ?? null,
      kmsKeyId: stream.kmsKeyId ?? null,
      storageTier: stream.storageTier ?? 'HOT',
      tags: stream.tags ?? {},
      ...toKeyHashes(name, publishKey),
    }
    if (!(await this.#rows.insert(row))) {
      throw new ServiceError('conflict', 'StreamExists', `A stream named ${name} exists already.`)
    }
    this.#names.set(row.streamId, name)
    this.#list = null
    return { info: toStreamInfo(row), publishKey }
  }

  async update(
    name: string,
    change: StreamChange | ((current: StreamInfo) => StreamChange),
  ): Promise<StreamInfo> {
    const row = await this.#rows.change(name, (current) =>
      changed(current, typeof change === 'function' ? change(toStreamInfo(current)) : change),
    )
    this.#list = null
    return toStreamInfo(found(row, name))
  }

  async delete(name: string): Promise<void> {
    const { streamId } = this.get(name)
    // A namesake that was made while this waited stays.
    const check = (row: StreamRow) => void found(row.streamId === streamId ? row : null, name)
    if (!(await this.#rows.remove(name, check))) throw notFound(name)
    this.#names.delete(streamId)
    this.#list = null
  }

  acceptsPublishKey(name: string, key: string): boolean {
    const expected = this.#rows.find(name)?.publishKeySha256 ?? NO_KEY
    return timingSafeEqual(sha256(key), Buffer.from(expected, 'hex'))
  }

  publishDigest(name: string, algorithm: DigestAlgorithm): string {
    return this.#rows.find(name)?.publishDigests[algorithm] ?? NO_KEY
  }
}

function found(row: StreamRow | null, name: string): StreamRow {
  if (row !== null) return row
  throw notFound(name)
}

function notFound(name: string): ServiceError {
  return new ServiceError('not-found', 'StreamNotFound', `There is no stream named ${name}.`)
}

function changed(row: StreamRow, change: StreamChange): StreamRow {
  const { publishKey, quotaBytes, ...plain } = change
  if (change.retentionHours !== undefined) checkRetention(change.retentionHours)
  if (publishKey !== undefined) checkPublishKey(publishKey)
  checkQuota(quotaBytes)
  checkTags(change.tags)
  const { quotaBytes: formerQuota, ...kept } = row
  const isOfTagsOnly = Object.keys(change).every((member) => member === 'tags')
  return {
    ...kept,
    ...toQuota(quotaBytes === undefined ? formerQuota : quotaBytes),
    ...plain,
    ...(publishKey === undefined ? {} : toKeyHashes(row.name, publishKey)),
    version: isOfTagsOnly ? row.version : newVersion(),
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
  return {
    ...STREAM_DEFAULTS,
    ...row,
    streamId: row.streamId as StreamId,
    version: String(row.version),
  }
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
