import { getClip } from './archived/get-clip.ts'
import { getMediaForFragmentList } from './archived/get-media-for-fragment-list.ts'
import { listFragments } from './archived/list-fragments.ts'
import { deleteEdgeConfiguration } from './edge/delete-edge-configuration.ts'
import { describeEdgeConfiguration } from './edge/describe-edge-configuration.ts'
import { listEdgeAgentConfigurations } from './edge/list-edge-agent-configurations.ts'
import { startEdgeConfigurationUpdate } from './edge/start-edge-configuration-update.ts'
import { getMedia } from './get-media/get-media.ts'
import type { Operation } from './operation.ts'

/** By API, as the SDKs divide them into clients. PutMedia is in none of them. */
export const operationsByApi = {
  control: [
    startEdgeConfigurationUpdate,
    describeEdgeConfiguration,
    deleteEdgeConfiguration,
    listEdgeAgentConfigurations,
  ],
  media: [getMedia],
  'archived media': [listFragments, getMediaForFragmentList, getClip],
} satisfies Readonly<Record<string, readonly Operation[]>>

/** By path. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  Object.values(operationsByApi)
    .flat()
    .map((operation) => [operation.path, operation]),
)
