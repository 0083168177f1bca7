import { ServiceError } from '../domain/errors.ts'
import { maskUrl, type SourceCredentials } from '../domain/source-url.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import type { SecretBox } from './secret-box.ts'
import type {
  NewSource,
  SourceChange,
  SourceInfo,
  SourceRegistry,
  SourceSettings,
} from './source-registry.ts'
import { parseNewSource, parseSourceChange, type SourceTerms } from './source-terms.ts'
import type { StreamInfo, StreamRegistry } from './stream-registry.ts'

export type SourceRegistryDeps = {
  readonly meta: MetaStore
  readonly streams: StreamRegistry
  readonly clock: Clock
  readonly box: SecretBox
}

/** As it is stored: what may be shown in the clear, the rest sealed for the stream's ID. */
type SourceRow = Omit<SourceTerms, 'url' | 'credentials'> & {
  readonly streamId: string
  readonly createdAt: EpochMs
  readonly version: number
  readonly url: string
  readonly username: string | null
  readonly hasPassword: boolean
  /** {@link Secrets} as JSON. */
  readonly sealed: string
}

/** The whole URL, since its query may hold a password as well. */
type Secrets = { readonly url: string; readonly credentials: SourceCredentials | null }

const PREFIX = 'source'

/**
 * The registry on the MetaStore. All rows are kept in memory.
 *
 * @param declared sources of the configuration, whose streams exist. While one is declared for a
 *   stream, one that was made at run time waits.
 * @throws ServiceError `invalid-argument`/`InvalidSource`, `not-found`/`StreamNotFound`
 */
export async function openSourceRegistry(
  deps: SourceRegistryDeps,
  declared: readonly NewSource[],
): Promise<SourceRegistry> {
  const rows = new Map<string, SourceRow>()
  for await (const { value } of deps.meta.entries<SourceRow>({ prefix: [PREFIX] })) {
    rows.set(value.streamId, value)
  }
  const registry = new MetaSourceRegistry(deps, rows, declared)
  await registry.prune() // the service may have ended between a stream's removal and its source's
  return registry
}

class MetaSourceRegistry implements SourceRegistry {
  readonly #deps: SourceRegistryDeps
  readonly #rows: Map<string, SourceRow>
  readonly #declared: ReadonlyMap<string, SourceRow>
  readonly #listeners = new Set<(stream: string) => void>()

  constructor(
    deps: SourceRegistryDeps,
    rows: Map<string, SourceRow>,
    declared: readonly NewSource[],
  ) {
    this.#deps = deps
    this.#rows = rows
    const entries = declared.map((source) => {
      const { streamId } = deps.streams.get(source.stream)
      return [streamId, this.#toRow(streamId, parseNewSource(source), null)] as const
    })
    this.#declared = new Map(entries)
  }

  list(): readonly SourceInfo[] {
    return this.#deps.streams.list().flatMap((stream) => this.#infoOf(stream) ?? [])
  }

  find(stream: string): SourceInfo | null {
    const info = this.#deps.streams.find(stream)
    return info === null ? null : this.#infoOf(info)
  }

  get(stream: string): SourceInfo {
    const info = this.find(stream)
    if (info === null) {
      throw new ServiceError('not-found', 'SourceNotFound', `Stream ${stream} has no source.`)
    }
    return info
  }

  settings(stream: string): SourceSettings {
    const { streamId } = this.get(stream)
    return this.#open(this.#declared.get(streamId) ?? this.#rows.get(streamId)!)
  }

  async create(source: NewSource): Promise<SourceInfo> {
    const { streamId, name } = this.#deps.streams.get(source.stream)
    const row = this.#toRow(streamId, parseNewSource(source), null)
    const isFirst = !this.#declared.has(streamId) && (await this.#replace(null, row))
    if (!isFirst) {
      throw new ServiceError('conflict', 'SourceExists', `Stream ${name} has a source already.`)
    }
    return this.get(name)
  }

  async update(stream: string, change: SourceChange): Promise<SourceInfo> {
    const row = this.#changeableRow(stream)
    const next = this.#toRow(row.streamId, parseSourceChange(this.#open(row), change), row)
    if (!(await this.#replace(row, next))) {
      throw new ServiceError('conflict', 'SourceChanged', `The source of ${stream} just changed.`)
    }
    return this.get(stream)
  }

  async delete(stream: string): Promise<void> {
    const { streamId } = this.#changeableRow(stream)
    await this.#deps.meta.commit({ deletes: [[PREFIX, streamId]] })
    this.#rows.delete(streamId)
    this.#tell(stream)
  }

  async prune(): Promise<void> {
    const { meta, streams } = this.#deps
    const isOrphan = (streamId: string) => streams.findById(streamId as StreamId) === null
    const orphans = [...this.#rows.keys()].filter(isOrphan)
    if (orphans.length === 0) return
    await meta.commit({ deletes: orphans.map((streamId) => [PREFIX, streamId]) })
    for (const streamId of orphans) this.#rows.delete(streamId)
  }

  watch(listener: (stream: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #infoOf({ streamId, name }: StreamInfo): SourceInfo | null {
    const declared = this.#declared.get(streamId)
    const row = declared ?? this.#rows.get(streamId)
    if (row === undefined) return null
    const { sealed: _, ...shown } = row
    const origin = declared === undefined ? 'runtime' : 'config'
    return { ...shown, stream: name, streamId, origin }
  }

  #changeableRow(stream: string): SourceRow {
    const { streamId, origin } = this.get(stream)
    if (origin === 'runtime') return this.#rows.get(streamId)!
    throw new ServiceError(
      'conflict',
      'SourceDeclared',
      `The source of ${stream} is declared in the configuration: change it there and restart.`,
    )
  }

  /** @returns false when the row is another one by now */
  async #replace(row: SourceRow | null, next: SourceRow): Promise<boolean> {
    const key = [PREFIX, next.streamId]
    const replaced = await this.#deps.meta.commit({
      conditions: [{ key, equals: row }],
      puts: [{ key, value: next }],
    })
    if (!replaced) return false
    this.#rows.set(next.streamId, next)
    const stream = this.#deps.streams.findById(next.streamId as StreamId)
    if (stream !== null) this.#tell(stream.name)
    return true
  }

  #toRow(streamId: string, terms: SourceTerms, former: SourceRow | null): SourceRow {
    const { url, credentials, ...shown } = terms
    const secrets: Secrets = { url: url.href, credentials }
    return {
      ...shown,
      streamId,
      createdAt: former?.createdAt ?? this.#deps.clock.now(),
      version: (former?.version ?? 0) + 1,
      url: maskUrl(url.href),
      username: credentials?.username ?? null,
      hasPassword: (credentials?.password ?? '') !== '',
      sealed: this.#deps.box.seal(JSON.stringify(secrets), streamId),
    }
  }

  #open(row: SourceRow): SourceTerms {
    const { url, credentials } = JSON.parse(
      this.#deps.box.open(row.sealed, row.streamId),
    ) as Secrets
    const { transport, verifyCertificate, enabled, connectTimeoutMs, stallTimeoutMs } = row
    return {
      ...{ url: new URL(url), credentials, transport, verifyCertificate, enabled },
      ...{ connectTimeoutMs, stallTimeoutMs },
    }
  }

  #tell(stream: string): void {
    for (const listener of this.#listeners) listener(stream)
  }
}
