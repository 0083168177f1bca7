import { ServiceError } from '../../domain/errors.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import { limitCalls, type CallRate, type CallRates } from '../aws/call-rates.ts'

const perSecond = (callsPerSecond: number, per: CallRate['per'], ...operations: string[]) => ({
  ...{ operations, per, callsPerSecond },
})

/**
 * The service's own (developer guide, "Quotas and limits", "KDS control plane API limits"). Reads and writes of
 * records are limited by shard: shard-capacity.ts.
 */
const DOCUMENTED_RATES: readonly CallRate[] = [
  perSecond(5, 'account', 'CreateStream', 'DeleteStream', 'ListStreams', 'RegisterStreamConsumer'),
  perSecond(5, 'account', 'DescribeAccountSettings', 'UpdateAccountSettings'),
  perSecond(5, 'account', 'MergeShards', 'SplitShard', 'UpdateStreamWarmThroughput'),
  perSecond(5, 'account', 'CreateChannel', 'DescribeChannel', 'ListChannels'),
  perSecond(5, 'account', 'UpdateChannel', 'DeleteChannel'),
  perSecond(5, 'stream', 'DeregisterStreamConsumer', 'ListStreamConsumers'),
  perSecond(5, 'account', 'AddTagsToStream', 'RemoveTagsFromStream', 'ListTagsForStream'),
  perSecond(5, 'account', 'IncreaseStreamRetentionPeriod', 'DecreaseStreamRetentionPeriod'),
  perSecond(5, 'account', 'EnableEnhancedMonitoring', 'DisableEnhancedMonitoring'),
  perSecond(5, 'account', 'StartStreamEncryption', 'StopStreamEncryption'),
  perSecond(1, 'account', 'DescribeLimits'),
  perSecond(10, 'account', 'DescribeStream', 'UpdateShardCount'),
  perSecond(20, 'account', 'DescribeStreamSummary'),
  perSecond(20, 'stream', 'DescribeStreamConsumer'),
  perSecond(1000, 'stream', 'ListShards'),
]

/** A call beyond them is counted and refused: `limit-exceeded`/`LimitExceededException`. */
export function createCallRates(parts: {
  readonly clock: Clock
  readonly metrics: Metrics
}): CallRates {
  return limitCalls(DOCUMENTED_RATES, {
    clock: parts.clock,
    refusal: (operation) => {
      parts.metrics.httpThrottled.inc({ edge: 'kinesis', operation })
      return new ServiceError(
        'limit-exceeded',
        'LimitExceededException',
        `Rate exceeded for ${operation}.`,
      )
    },
  })
}
