import { structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'

/** DescribeLimits. */
export const describeLimits = defineOperation(
  'DescribeLimits',
  structure({}),
  async (_input, { service }) => {
    const { openShards, maxShards, onDemandStreams, maxOnDemandStreams } =
      service.dataStreams.limits()
    return {
      ShardLimit: maxShards,
      OpenShardCount: openShards,
      OnDemandStreamCount: onDemandStreams,
      OnDemandStreamCountLimit: maxOnDemandStreams,
      ChannelCount: 0,
      ChannelCountLimit: 0,
    }
  },
)
