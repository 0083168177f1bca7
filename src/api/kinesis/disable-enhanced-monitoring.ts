import { changeMonitoring, monitoringInput } from './enhanced-monitoring.ts'
import { defineOperation } from './operation.ts'

/** DisableEnhancedMonitoring. */
export const disableEnhancedMonitoring = defineOperation(
  'DisableEnhancedMonitoring',
  monitoringInput,
  async (input, { service }) =>
    changeMonitoring(input, service, (isNow, isNamed) => isNow && !isNamed),
)
