import { deleteEdgeConfiguration } from './delete-edge-configuration.ts'
import { describeEdgeConfiguration } from './describe-edge-configuration.ts'
import { listEdgeAgentConfigurations } from './list-edge-agent-configurations.ts'
import type { Operation } from './operation.ts'
import { startEdgeConfigurationUpdate } from './start-edge-configuration-update.ts'

/** By path: the API's operations are `POST /<name with a small first letter>`. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  [
    startEdgeConfigurationUpdate,
    describeEdgeConfiguration,
    deleteEdgeConfiguration,
    listEdgeAgentConfigurations,
  ].map((operation) => [
    `/${operation.name.charAt(0).toLowerCase()}${operation.name.slice(1)}`,
    operation,
  ]),
)
