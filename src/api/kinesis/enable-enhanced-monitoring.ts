import { changeMonitoring, monitoringInput } from './enhanced-monitoring.ts'
import { defineOperation } from './operation.ts'

/** EnableEnhancedMonitoring: shard-level metrics appear at /metrics. */
export const enableEnhancedMonitoring = defineOperation(
  'EnableEnhancedMonitoring',
  monitoringInput,
  async (input, { service }) =>
    changeMonitoring(input, service, (isNow, isNamed) => isNow || isNamed),
)
