import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** The service's own default; nothing here refuses the next on-demand stream. */
const ON_DEMAND_STREAMS = 50

/** DescribeLimits. */
export const describeLimits = defineOperation(
  'DescribeLimits',
  structure({}),
  async (_input, { service }) => {
    const { openShards, maxShards, onDemandStreams } = service.dataStreams.limits()
    return {
      ShardLimit: maxShards,
      OpenShardCount: openShards,
      OnDemandStreamCount: onDemandStreams,
      OnDemandStreamCountLimit: ON_DEMAND_STREAMS,
      ChannelCount: 0,
      ChannelCountLimit: 0,
    }
  },
)
