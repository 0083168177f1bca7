import { deleteEdgeConfiguration } from './edge/delete-edge-configuration.ts'
import { describeEdgeConfiguration } from './edge/describe-edge-configuration.ts'
import { listEdgeAgentConfigurations } from './edge/list-edge-agent-configurations.ts'
import { startEdgeConfigurationUpdate } from './edge/start-edge-configuration-update.ts'
import type { Operation } from './operation.ts'

/** By path. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  [
    startEdgeConfigurationUpdate,
    describeEdgeConfiguration,
    deleteEdgeConfiguration,
    listEdgeAgentConfigurations,
  ].map((operation) => [operation.path, operation]),
)
