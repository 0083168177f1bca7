import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { MetaStore } from '../platform/meta-store.ts'

/**
 * What the Kinesis Video API's edge operations said of a stream's camera, beside the source that came
 * of it. Survives restarts; gone with its stream or its source.
 */
export type EdgeConfiguration = {
  readonly streamId: StreamId
  readonly createdAt: EpochMs
  readonly updatedAt: EpochMs
  /** EdgeConfig, as it was given. */
  readonly terms: unknown
  /** Why it is not in force: for people. `null`: it is. */
  readonly failure: string | null
}

export type EdgeConfigurations = {
  list(): Promise<readonly EdgeConfiguration[]>
  find(streamId: StreamId): EdgeConfiguration | null
  put(configuration: EdgeConfiguration): Promise<void>
  delete(streamId: StreamId): Promise<void>
}

const PREFIX = 'edge-configuration'

export function createEdgeConfigurations(meta: MetaStore): EdgeConfigurations {
  return {
    list: async () => {
      const found: EdgeConfiguration[] = []
      for await (const { value } of meta.entries<EdgeConfiguration>({ prefix: [PREFIX] })) {
        found.push(value)
      }
      return found
    },
    find: (streamId) => meta.get<EdgeConfiguration>([PREFIX, streamId]),
    put: async (configuration) => {
      await meta.commit({ puts: [{ key: [PREFIX, configuration.streamId], value: configuration }] })
    },
    delete: async (streamId) => {
      await meta.commit({ deletes: [[PREFIX, streamId]] })
    },
  }
}
